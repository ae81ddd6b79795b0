"""Data sets into shards: `python -m trainer.prepare`. Webdataset tars of 16 kHz mono clips, FLAC or Opus.

Every example is two files in its tar, `<key>.flac` (or `.opus`) and `<key>.json` with its source and labels.
Shards are made in parallel, on this machine or on a Ray cluster, each written aside and renamed when whole, so that a
run that was stopped goes on where it was; what was left out, and why, is in `report.csv`, what each shard holds in
`index.npz`.
"""

import csv
import hashlib
import io
import json
import os
import random
import socket
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.clips.usable import SILENCE
from trainer.data.decode import decode
from trainer.data.layouts.listing import Missing, list_recordings
from trainer.data.recording import Recording
from trainer.data.shards.index import Described, describe, write_index
from trainer.evaluation.content import sketch_of_file
from trainer.run.cluster import on_cluster
from trainer.run.command import run

RATE = 16_000
"""Hz of the audio in shards."""


class Codec(str, Enum):
    """How audio is stored. FLAC is lossless; Opus takes about a fifth of it."""

    FLAC = "flac"
    OPUS = "opus"


@dataclass(frozen=True)
class PrepareConfig:
    codec: Codec = Codec.FLAC
    shortest: float = 0.5
    """Seconds; shorter pieces are left out."""
    longest: float = 10.0
    """Seconds; longer recordings become several pieces."""
    per_shard: int = 1000
    """Recordings, not pieces, that one shard is made of."""


@dataclass(frozen=True)
class Skipped:
    """Why a recording, or a piece of it, is not in the shards."""

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ShardReport:
    """What became of one shard's recordings; saved beside the shard."""

    made_from: str
    """Fingerprint of the recordings and settings, so that a later run knows the shard as its own."""
    examples: int
    seconds: float
    skipped: list[Skipped]
    described: Described | None = None
    """What the shard holds, for the index beside the shards; shards of earlier versions did not say it."""

    def plain(self) -> dict[str, Any]:
        """As built-in types; `_read_report` reads it."""
        return {**asdict(self), "described": self.described.plain() if self.described else None}


class Unusable(Exception):
    """A recording or piece that does not go into a shard; `reason` is one of a few words."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.skipped = (reason, detail)


def prepare(
    folder: Annotated[Path, typer.Argument(help="folder with the recordings")],
    out: Annotated[Path, typer.Argument(help="folder for the shards")],
    table: Annotated[Path | None, typer.Option(help="AudioSet's csv, or a manifest with a column path")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="column=value of rows to leave out")] = None,
    codec: Annotated[Codec, typer.Option(help="how audio is stored")] = Codec.FLAC,
    shortest: Annotated[float, typer.Option(min=0.03, help="seconds; shorter clips are left out")] = 0.5,
    longest: Annotated[float, typer.Option(min=1.0, help="seconds; longer recordings are cut")] = 10.0,
    per_shard: Annotated[int, typer.Option(min=1, help="recordings a shard")] = 1000,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
    ray: Annotated[
        str | None, typer.Option(help="head of a Ray cluster whose processors make the shards: HOST:6379, or auto")
    ] = None,
) -> None:
    """Turns a folder of audio into webdataset shards for pre-training."""
    config = PrepareConfig(codec, shortest, longest, per_shard)
    if ray is not None:  # other machines' processes run elsewhere
        folder, out = folder.absolute(), out.absolute()
    recordings = list_recordings(folder, table, dict(_condition(text) for text in exclude or ()))
    reports = prepare_shards(recordings, out, config, workers, ray)
    skipped = [entry for report in reports for entry in report.skipped]
    with (out / "report.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "reason", "detail"))
        writer.writerows((entry.name, entry.reason, entry.detail) for entry in skipped)
    examples, seconds = sum(report.examples for report in reports), sum(report.seconds for report in reports)
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(s.reason for s in skipped).most_common())
    print(f"{examples} examples, {seconds / 3600:.2f} h, in {len(reports)} shards; skipped: {reasons or 'none'}")
    if not examples:
        raise AsitEdgeError(f"{folder}: nothing usable; the reasons are in {out / 'report.csv'}")


def prepare_shards(
    recordings: Sequence[Recording | Missing], out: Path, config: PrepareConfig, workers: int, ray: str | None = None
) -> list[ShardReport]:
    """Writes `shard-NNNNNN.tar` for all recordings, in an order that mixes them; skips shards that are there.

    `ray` is the address of a cluster that does it; its machines must see recordings and shards under the same paths.
    """
    out.mkdir(parents=True, exist_ok=True)
    mixed = random.Random(0).sample(recordings, len(recordings))
    parts = [mixed[first : first + config.per_shard] for first in range(0, len(mixed), config.per_shard)]
    known = {out / f"shard-{number:06d}.tar" for number in range(len(parts))}
    foreign = sorted(set(out.glob("*.tar")) - known)
    if foreign:
        raise WrongUse(f"{foreign[0]}: {out} holds shards of another data set; give a folder of its own")
    work = partial(_make_shard, out=out, config=config)
    jobs = list(enumerate(parts))
    if ray is not None:
        made = _collected(on_cluster(work, jobs, ray, out), len(jobs))
    elif workers == 1:
        made = _collected(((number, work((number, part))) for number, part in jobs), len(jobs))
    else:
        with ProcessPoolExecutor(workers) as pool:
            made = _collected(enumerate(pool.map(work, jobs)), len(jobs))
    for left in out.glob("*.tar.part"):  # of processes that were killed
        left.unlink()
    write_index(out, [report.described for report in made if report.described])
    return made


def _collected(reports: Iterable[tuple[int, ShardReport]], shards: int) -> list[ShardReport]:
    """Reports as they come, in the order of the shards; meanwhile says how far it is and how much was left out."""
    made: dict[int, ShardReport] = {}
    skipped: Counter[str] = Counter()
    with tqdm(total=shards, unit="shard", disable=None) as bar:
        for number, report in reports:
            made[number] = report
            skipped.update(one.reason for one in report.skipped)
            left_out = ", ".join(f"{reason} {count}" for reason, count in skipped.most_common())
            bar.set_postfix_str(left_out)
            bar.update()
            if bar.disable and len(made) % max(shards // 20, 1) == 0:
                print(f"{len(made)} of {shards} shards; left out: {left_out or 'none'}", file=sys.stderr, flush=True)
    return [made[number] for number in sorted(made)]


def _make_shard(job: tuple[int, list[Recording | Missing]], out: Path, config: PrepareConfig) -> ShardReport:
    number, recordings = job
    path, report_path = out / f"shard-{number:06d}.tar", out / f"shard-{number:06d}.json"
    made_from = _fingerprint(recordings, config)
    if path.exists() and report_path.exists():
        report = _read_report(report_path)
        if report.made_from != made_from:
            raise WrongUse(f"{path}: was made from other recordings or settings; give a new folder")
        if report.described is None:
            report = replace(report, described=describe(path, _sketch))
            _write_report(report, report_path)
        if report.described is not None and path.stat().st_size == report.described.size:
            return report
    skipped: list[Skipped] = []
    examples, samples = 0, 0
    # A machine that was given up for lost may still write the same shard, which comes to the same bytes.
    aside = path.with_name(f"{path.stem}.{socket.gethostname()}-{os.getpid()}.tar.part")
    with tarfile.open(aside, "w") as tar:
        for index, recording in enumerate(recordings):
            for piece, result in enumerate(_pieces(recording, config)):
                if isinstance(result, Unusable):
                    skipped.append(Skipped(recording.name, *result.skipped))
                    continue
                key = f"{number:06d}-{index:06d}-{piece:04d}"
                about = {"source": recording.name, "piece": piece, "labels": recording.labels}
                _add(tar, f"{key}.{config.codec.value}", _encoded(result, config.codec))
                _add(tar, f"{key}.json", json.dumps(about).encode())
                examples, samples = examples + 1, samples + len(result)
    described = describe(aside, _sketch, path.name)
    report = ShardReport(made_from, examples, samples / RATE, skipped, described)
    _write_report(report, report_path)
    aside.replace(path)  # last: a shard that has its final name is whole and has its report
    return report


def _fingerprint(recordings: Sequence[Recording | Missing], config: PrepareConfig) -> str:
    """Of what a shard is made of; its words are those that shards made long ago carry."""
    facts = ", ".join(
        f"Source(name={one.name!r}, path={None if isinstance(one, Missing) else one.path!r}, labels={one.labels!r})"
        for one in recordings
    )
    return hashlib.sha256(f"([{facts}], {config!r})".encode()).hexdigest()


def _pieces(recording: Recording | Missing, config: PrepareConfig) -> Iterator[Samples | Unusable]:
    """The pieces of one recording, each usable or with the reason why not."""
    try:
        samples = _decoded(recording)
    except Unusable as unusable:
        yield unusable
        return
    longest = round(config.longest * RATE)
    for first in range(0, max(len(samples), 1), longest):
        piece = samples[first : first + longest]
        if len(piece) < config.shortest * RATE:
            if first == 0:  # the short rest of a long recording is no news
                yield Unusable("too short", f"{len(piece) / RATE:.2f} s")
        elif np.abs(piece).max() <= SILENCE:
            yield Unusable("silent", f"at {first / RATE:.1f} s" if first else "")
        else:
            yield piece


def _decoded(recording: Recording | Missing) -> Samples:
    if isinstance(recording, Missing):
        raise Unusable("missing")
    if recording.path.stat().st_size == 0:
        raise Unusable("empty")
    try:
        samples = decode(recording.path, RATE)
    except AsitEdgeError as error:
        raise Unusable("corrupt", str(error)) from None
    except Exception as error:  # whatever a decoder says of a broken file is a line of the report
        raise Unusable("corrupt", repr(error)) from None
    if not np.isfinite(samples).all():
        raise Unusable("corrupt", "samples that are not finite")
    return samples


def _encoded(samples: Samples, codec: Codec) -> bytes:
    buffer = io.BytesIO()
    container, subtype = ("FLAC", "PCM_16") if codec is Codec.FLAC else ("OGG", "OPUS")
    soundfile.write(buffer, np.clip(samples, -1, 1), RATE, format=container, subtype=subtype)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _sketch(content: bytes) -> bytes:
    return sketch_of_file(io.BytesIO(content))


def _write_report(report: ShardReport, path: Path) -> None:
    path.write_text(json.dumps(report.plain()), encoding="utf-8")


def _read_report(path: Path) -> ShardReport:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["skipped"] = [Skipped(**entry) for entry in content["skipped"]]
        if content.get("described"):
            content["described"] = Described.from_plain(content["described"])
        return ShardReport(**content)
    except (ValueError, KeyError, TypeError, IndexError):
        raise WrongUse(f"{path}: not a report of trainer.prepare; give a new folder") from None


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals:
        raise WrongUse(f"--exclude {text}: must be column=value")
    return column, value


if __name__ == "__main__":
    run("trainer.prepare", prepare)
