"""Work on many machines at once, by Ray (https://ray.io, the extra `ray`): jobs that depend on nothing but their input.

Ray starts processes on the machines of a cluster, gives a job to another one when its process or machine dies, and says
so. What jobs read and write must lie where all machines find it under one path.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from asit_edge.errors import AsitEdgeError, WrongUse

Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES = 20
"""Of a job whose process or machine dies under it."""

CONNECTING = 10.0
"""Seconds in which the head of a cluster must answer."""

PATIENCE = 60.0
"""Seconds after which a machine must see a new file: network file systems remember for a while what was not there."""

AHEAD = 4
"""Jobs that wait for each processor of the cluster; more of them would only fill its memory."""


def on_cluster(
    work: Callable[[Job], Result], jobs: Sequence[Job], address: str, shared: Path
) -> Iterator[tuple[int, Result]]:
    """The number and the result of each job, as they are done; each job takes one processor of the cluster.

    `address` is that of the cluster's head (HOST:PORT), or "auto"; `shared` a folder that every machine must see.
    Raises WrongUse where there is no cluster or a machine does not see the folder, and what a job raises, as it is.
    """
    ray = _ray(address)
    marker = shared / ".seen-by-all"
    try:
        marker.write_text(token := uuid4().hex, encoding="utf-8")
        yield from _done(ray, OnMachine(work, marker, token), jobs)
    finally:
        marker.unlink(missing_ok=True)
        ray.shutdown()


class OnMachine:
    """A job's work, on a machine that sees what it must."""

    def __init__(self, work: Callable[[Any], Any], marker: Path, token: str, patience: float = PATIENCE) -> None:
        self._work, self._marker, self._token, self._patience = work, marker, token, patience

    def __call__(self, job: Any) -> Any:
        deadline = time.monotonic() + self._patience
        while not self._sees():
            if time.monotonic() > deadline:
                raise WrongUse(
                    f"{socket.gethostname()}: does not see {self._marker.parent} as the first machine does; give a "
                    "folder that all machines of the cluster mount under this path"
                )
            time.sleep(1.0)
        return self._work(job)

    def _sees(self) -> bool:
        return self._marker.is_file() and self._marker.read_text(encoding="utf-8") == self._token


def _ray(address: str) -> Any:
    """Ray, as a member of that cluster. Nothing is told to Ray's makers."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    try:
        host, colon, port = address.rpartition(":")
        if colon and "//" not in host:  # where nobody answers Ray would try for many minutes
            socket.create_connection((host, int(port)), timeout=CONNECTING).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise WrongUse(
            f"--ray {address}: no Ray cluster there ({str(error).strip().splitlines()[0]}); start one with "
            "ray start --head --port 6379 on one machine and ray start --address HOST:6379 on the others"
        ) from None
    return ray


def _done(ray: Any, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    remote = ray.remote(num_cpus=1, max_retries=TRIES)(_call)
    shared = ray.put(work)
    waiting: dict[Any, int] = {}
    begun = 0
    while waiting or begun < len(jobs):
        most = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        while begun < len(jobs) and len(waiting) < most:
            waiting[remote.remote(shared, jobs[begun])] = begun
            begun += 1
        done, _ = ray.wait(list(waiting), num_returns=1)
        for reference in done:
            number = waiting.pop(reference)
            try:
                yield number, ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                said = str(error).strip().splitlines()[0]
                raise AsitEdgeError(f"the cluster gave up on a job after {TRIES} tries: {said}") from None


def _call(work: Callable[[Any], Any], job: Any) -> Any:
    return work(job)
