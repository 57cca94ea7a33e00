"""Ingest on a Ray cluster: each task reads some files into an archive of its own, and these become one."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Generator, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from precordial.archive.reading import FileReading
from precordial.archive.writer import ArchiveWriter
from precordial.errors import PrecordialError
from precordial.processes import in_batches

if TYPE_CHECKING:
    from precordial.archive.intake import Job

PART = 1024  # files that a task reads: some seconds of work, against milliseconds to hand it over
TRIES = 3  # of a task whose worker dies


def parts(jobs: Iterable[Job], reading: FileReading, folder: Path, workers: int) -> Generator[tuple[list[Job], Path]]:
    """Archives of what comes of the files, in their order, each with its files; the last is removed with the next.

    The cluster is the one that ``RAY_ADDRESS`` names, or else this machine. Its machines must see the files, and
    `folder`, under the same paths.

    Args:
        jobs: files to be read.
        reading: how they are read.
        folder: for the archives; nothing of it is left at the end.
        workers: tasks at a time on this machine, where there is no cluster.

    Raises:
        PrecordialError: Ray is not installed, or a task failed `TRIES` times.
    """
    ray = connect(num_cpus=workers)
    make_part = ray.remote(num_cpus=1, max_retries=TRIES - 1)(_make_part)
    ahead = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    flying: deque[tuple[list[Job], Any]] = deque()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        several = in_batches(jobs, PART)
        while True:
            for some in islice(several, ahead - len(flying)):
                flying.append((some, make_part.remote(some, reading, str(folder))))
            if not flying:
                return
            some, task = flying.popleft()
            try:
                made = Path(ray.get(task))
            except ray.exceptions.RayError as error:
                raise PrecordialError(
                    f"a task of the Ray cluster failed {TRIES} times ({type(error).__name__})",
                    remedy="see that its machines have memory, this version of precordial, and the same folders; "
                    "then run the same command again",
                ) from None
            yield some, made
            shutil.rmtree(made)
    finally:
        for _, task in flying:
            ray.cancel(task, force=True)
        shutil.rmtree(folder, ignore_errors=True)


def connect(**here: Any) -> Any:
    """Ray, connected to a cluster; or to processes of this machine, where no cluster is named.

    Args:
        here: what this machine has, such as ``num_cpus``, where there is no cluster; else Ray counts.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
    except ImportError:
        raise PrecordialError("the engine 'ray' needs Ray", remedy="pip install 'precordial[ray]'") from None
    if not ray.is_initialized():
        if os.environ.get("RAY_ADDRESS"):
            here = {}
        else:
            here["include_dashboard"] = False
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **here)
    return ray


def _make_part(jobs: list[Job], reading: FileReading, folder: str) -> str:
    """Read files into a new archive in a folder, and return its path; runs on the cluster."""
    path = Path(tempfile.mkdtemp(dir=folder))
    with ArchiveWriter(path, reading.manifest) as writer:
        for job in jobs:
            writer.add(job.key, reading.read(job.file), also=job.also)
    return str(path)
