"""Whole messages through pipes, which give and take them in pieces."""

import os
import select
from math import ceil
from time import monotonic


def read(descriptor: int, length: int, until: float | None = None) -> bytearray:
    """So many bytes. Raises EOFError if the other side closes before, TimeoutError if time.monotonic() has reached
    `until` before they are there.
    """
    content = bytearray(length)
    left = memoryview(content)
    while left:
        _wait(descriptor, select.POLLIN, until)
        count = os.readv(descriptor, [left])
        if count == 0:
            raise EOFError
        left = left[count:]
    return content


def write(descriptor: int, content: bytes, until: float | None = None) -> None:
    """All of `content`. Raises BrokenPipeError if the other side is closed, TimeoutError if time.monotonic() reaches
    `until`: then the pipe must be one that does not block.
    """
    left = memoryview(content)
    while left:
        _wait(descriptor, select.POLLOUT, until)
        left = left[os.write(descriptor, left) :]


def _wait(descriptor: int, event: int, until: float | None) -> None:
    """Until the pipe gives or takes something. Without `until` whoever reads or writes it waits there."""
    if until is None:
        return
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0, ceil((until - monotonic()) * 1000))):
        raise TimeoutError
