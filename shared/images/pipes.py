"""Whole messages through pipes, which give and take them in pieces."""

import os


def read(descriptor: int, length: int) -> bytearray:
    """So many bytes. Raises EOFError if the other side closes before."""
    content = bytearray(length)
    left = memoryview(content)
    while left:
        count = os.readv(descriptor, [left])
        if count == 0:
            raise EOFError
        left = left[count:]
    return content


def write(descriptor: int, content: bytes) -> None:
    """All of `content`. Raises BrokenPipeError if the other side is closed."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
