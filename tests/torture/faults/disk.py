"""Disks that are full: of the database, of Redis, and what workers and API keep for a moment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import sleep

import pytest

from tests.torture.faults.table import Act, Fault
from tests.torture.torture import Torture

BLOCK = bytes(64 * 1024)


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


def out_of_space(folder: str) -> Act:
    """A disk is full for a while, while a job is under way."""

    def act(torture: Torture, rng: Random) -> None:
        place = torture.machine.home / folder
        if not os.path.ismount(place):
            pytest.skip("needs the right to mount a small disk")
        torture.submit(rng)
        sleep(rng.uniform(0, 0.5))
        with full(place):
            sleep(rng.uniform(0.5, 2))

    return act


FAULTS = [
    Fault("the database's disk is full", 10, out_of_space("database"), alone=True),
    Fault("the disk of Redis is full", 10, out_of_space("broker"), alone=True),
    Fault("the disk for temporary files is full", 10, out_of_space("temporary"), alone=True),
]
