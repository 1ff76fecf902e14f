"""Whole messages through pipes, which give and take them in pieces."""

import os


def read(descriptor: int, length: int) -> bytearray:
    """So many bytes. Raises EOFError if the other side closes before."""
    content = bytearray(length)
    read_into(descriptor, memoryview(content))
    return content


def read_into(descriptor: int, buffer: memoryview) -> None:
    """Fill `buffer`, a memoryview of bytes. Raises EOFError if the other side closes before."""
    while buffer:
        count = os.readv(descriptor, [buffer])
        if count == 0:
            raise EOFError
        buffer = buffer[count:]


def write(descriptor: int, content: bytes | memoryview) -> None:
    """All of `content`, bytes. Raises BrokenPipeError if the other side is closed."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
