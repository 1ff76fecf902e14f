"""Disks that are full: of the database, of Redis, and what workers and API keep for a moment."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from random import Random
from time import sleep

import httpx
import pytest

from services.api.submission.spool import SPOOL_BYTES
from tests.torture.faults.table import Act, Fault
from tests.torture.torture import Torture

BLOCK = bytes(64 * 1024)
SPOOLED = bytes(SPOOL_BYTES + 1)  # what does not wait in memory
REFUSED_SECONDS = 60.0


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """No space is left on the folder's disk as long as the block lasts."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for block in (BLOCK, BLOCK[:512], BLOCK[:1]):
                try:
                    while True:
                        file.write(block)
                except OSError:
                    continue
            yield
        finally:
            ballast.unlink()


def _disk(torture: Torture, folder: str) -> Path:
    """A folder of the machine that is a small disk of its own; that takes root, and more than some containers allow."""
    place = torture.machine.home / folder
    if not os.path.ismount(place):
        pytest.skip("needs the right to mount a small disk")
    return place


def out_of_space(folder: str) -> Act:
    """A disk is full for a while, while a job is under way."""

    def act(torture: Torture, rng: Random) -> None:
        place = _disk(torture, folder)
        torture.submit(rng)
        sleep(rng.uniform(0, 0.5))
        with full(place):
            sleep(rng.uniform(0.5, 2))

    return act


def no_room_for_what_arrives(torture: Torture, rng: Random) -> None:
    """The API finds no room for what a client sends: it says so, and the client sends it until there is some."""
    place = _disk(torture, "temporary")
    torture.submit(rng)
    files = torture.files(rng)
    with files[0].open("ab") as large:
        large.write(SPOOLED)
    with ExitStack() as lacking:
        lacking.enter_context(full(place))
        parts = [("images", (path.name, path.read_bytes())) for path in files]
        refused = httpx.post(f"{torture.machine.api_url}/v1/jobs", files=parts, timeout=REFUSED_SECONDS)
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE, refused.text
        assert int(refused.headers["Retry-After"]) > 0
        torture.met[f"submissions refused as {refused.json()['code']}"] += 1
        with torture.submitting(files):
            sleep(rng.uniform(0.5, 2))
            lacking.close()


FAULTS = [
    Fault("the database's disk is full", 10, out_of_space("database"), alone=True),
    Fault("the disk of Redis is full", 10, out_of_space("broker"), alone=True),
    Fault("the disk for temporary files is full", 10, no_room_for_what_arrives, alone=True),
]
