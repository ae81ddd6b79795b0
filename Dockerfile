# ASiT Edge for amd64 and arm64 (64 bit only): docker build -t asit-edge .
# What it needs from outside, and how it is run: docs/containers.md. For a Jetson: Dockerfile.jetson.

FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv ca-certificates \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE config.yaml ./
COPY systemd systemd
COPY asit_edge asit_edge
RUN python3 -m venv /opt/asit-edge \
 && /opt/asit-edge/bin/pip install --no-cache-dir .

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 libportaudio2 libasound2-plugins ffmpeg ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --groups audio --home-dir /var/lib/asit-edge --no-create-home asit-edge \
 && install -d -m 700 -o asit-edge -g asit-edge /var/lib/asit-edge /var/cache/asit-edge \
 && install -d /etc/asit-edge
COPY --from=build /opt/asit-edge /opt/asit-edge
ENV PATH=/opt/asit-edge/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/asit-edge \
    STATE_DIRECTORY=/var/lib/asit-edge \
    CACHE_DIRECTORY=/var/cache/asit-edge \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1
USER asit-edge
VOLUME ["/var/lib/asit-edge"]
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["asit-edge", "health"]
ENTRYPOINT ["asit-edge"]
CMD ["listen"]
