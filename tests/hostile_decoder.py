"""The decoding process, with a decoder that files can take over: `python -m tests.hostile_decoder`.

A file that names a deed is what an exploit would be: code that runs where images are decoded, its rights being gone.
"""

import ctypes
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from shared.errors import BrokenImage
from shared.images import decode, decoder

MARK = b"\xff\xd8\xff deed:"  # it begins as a JPEG does
PARENT = os.getppid()
REFUSED = "refused: "


def _connect() -> None:
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", 9))


def _raise(limit: int) -> None:
    try:
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:  # how Python tells EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def _loop() -> None:
    while True:
        pass


# What may not be possible. Each raises OSError if it is not.
FORBIDDEN: dict[str, Callable[[], object]] = {
    "connect": _connect,
    "open_to_read": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "open_to_write": lambda: os.open("/tmp/facemem-hostile", os.O_CREAT | os.O_WRONLY),
    "list": lambda: list(Path("/").iterdir()),
    "remove": lambda: Path("/tmp/facemem-hostile").unlink(),
    "fork": os.fork,
    "execute": lambda: os.execv("/bin/true", ["true"]),
    "raise_files": lambda: _raise(resource.RLIMIT_NOFILE),
    "raise_memory": lambda: _raise(resource.RLIMIT_AS),
    "raise_processes": lambda: _raise(resource.RLIMIT_NPROC),
    "kill_the_worker": lambda: os.kill(PARENT, signal.SIGKILL),
    "duplicate": lambda: os.dup(0),
    "pipe": os.pipe,
}
# What ends the process, or does not end.
DEADLY: dict[str, Callable[[], object]] = {
    "exit": lambda: os._exit(0),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "loop": _loop,
    "wait": lambda: os.read(0, 1),
    "babble": lambda: os.write(1, b"\xff" * 100_000),
    "too_many_pixels": lambda: os.write(1, decoder.ANSWER.pack(0, 2**31, 2**31, 1, 1, 0)),
    "four_gigabytes": lambda: bytearray(2**32),
    "environment": lambda: _tell(sorted(os.environ)),
}


def _tell(names: list[str]) -> None:
    raise BrokenImage(" ".join(names))


def file_that(deed: str) -> bytes:
    return MARK + deed.encode()


def _taken_over(content: bytes, *, real: Callable[..., object] = decode.decode, **how: int) -> object:
    if not content.startswith(MARK):
        return real(content, **how)
    deed = content.removeprefix(MARK).decode()
    if deed in DEADLY:
        return DEADLY[deed]()
    try:
        FORBIDDEN[deed]()
    except OSError as error:
        raise BrokenImage(f"{REFUSED}{error.errno}") from error
    raise BrokenImage(f"{deed} was possible")


if __name__ == "__main__":
    for name in ("socket", "encodings.idna"):  # so that nothing is refused for want of a module
        __import__(name)
    decoder.decode = _taken_over
    decoder.main()
