"""Whole messages through pipes, and what is not waited for any longer."""

import os
from collections.abc import Iterator
from threading import Thread
from time import monotonic

import pytest

from shared.images.pipes import read, write

MORE_THAN_FITS = bytes(range(256)) * 4096
SOON = 0.2


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_a_message_that_is_larger_than_the_pipe_comes_through(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sender = Thread(target=write, args=(writing, MORE_THAN_FITS, monotonic() + 60))
    sender.start()
    assert read(reading, len(MORE_THAN_FITS), monotonic() + 60) == MORE_THAN_FITS
    sender.join()


def test_nobody_waits_longer_for_what_is_not_sent(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    write(writing, b"half")
    with pytest.raises(TimeoutError):
        read(reading, 8, monotonic() + SOON)


def test_nobody_waits_longer_for_who_does_not_read(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    with pytest.raises(TimeoutError):
        write(writing, MORE_THAN_FITS, monotonic() + SOON)
