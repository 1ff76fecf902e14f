"""Decoding what strangers sent, in processes that can do no harm (shared/images/decoder.py).

A file that makes its process crash, hang or take too much memory fails alone; the next one gets a new process. What
comes back from there is checked like anything that strangers sent.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from mmap import MADV_REMOVE, mmap
from threading import Lock
from time import clock_gettime, monotonic
from typing import Protocol, Self

import numpy as np

from shared.errors import DecodeCrashed, DecoderUnavailable, DecodeTimeout, PermanentError
from shared.images.decode import Decoded
from shared.images.decoder import ANSWER, DECODED, ERRORS, READY, REQUEST
from shared.images.pipes import read, write

# For one image. The largest allowed take five seconds of a core; what takes thirty was made to.
CPU_SECONDS = 30
# A backstop for what waits and does not compute; a machine may be busy with much else.
WALL_SECONDS = 120.0
START_SECONDS = 60.0
# Address space for decoding, beyond what the process has when it starts. The most that was measured is 24 bytes for
# each pixel, of a WebP with transparency; PNG takes up to 16, JPEG 15.
BYTES_PER_PIXEL = 26
SPARE_BYTES = 128 * 2**20
LONGEST_DETAIL = 1000  # bytes
PIPE_BYTES = 2**18  # so that most photographs' files go through at once
# Memory for pixels that stays after an image; what a larger one needed is given back.
KEPT_BYTES = 2**24
# One thread, or the filter would not hold for all; and no more memory kept than photographs of usual size need.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}


class Decode(Protocol):
    """How images are decoded: shared.images.decode.decode for files of our own, Decoders.decode for strangers'."""

    def __call__(
        self, content: bytes, *, max_pixels: int, long_side: int | None = None, reduced: int = 1
    ) -> Decoded: ...


class Decoders:
    """The decoding processes of one worker, for its threads: as many as decode at once, started when needed."""

    def __init__(
        self,
        max_pixels: int,
        *,
        cpu_seconds: int = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        module: str = "shared.images.decoder",
    ) -> None:
        """`max_pixels` is the most that any image may have, the seconds are for one image, `module` is what is run."""
        self._max_pixels = max_pixels
        self._new = partial(_Process, module, max_pixels, cpu_seconds, wall_seconds)
        self._idle: list[_Process] = []
        self._lock = Lock()

    def decode(self, content: bytes, *, max_pixels: int, long_side: int | None = None, reduced: int = 1) -> Decoded:
        """As shared.images.decode.decode has it, which says what the arguments mean.

        Raises what that raises; DecodeCrashed, DecodeTimeout; and DecoderUnavailable, for which no image is to blame.
        """
        max_pixels = min(max_pixels, self._max_pixels)
        request = REQUEST.pack(len(content), max_pixels, long_side or 0, reduced)
        try:
            with self._process() as process:
                return process.decode(request, content, max_pixels)
        except DecodeCrashed:
            # A file before it may have left damage behind, or somebody ended the process: once more, in a new one.
            with self._process(fresh=True) as process:
                return process.decode(request, content, max_pixels)

    def close(self) -> None:
        """End the processes that are idle. Those of a worker that is killed end with it."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _process(self, *, fresh: bool = False) -> Iterator["_Process"]:
        """A process for one image. It is kept if it is still of use after that."""
        with self._lock:
            process = self._idle.pop() if self._idle and not fresh else None
        if process is None:
            try:
                process = self._new()
            except (OSError, EOFError) as error:
                raise DecoderUnavailable from error
        try:
            yield process
        finally:
            if process.usable:
                with self._lock:
                    self._idle.append(process)
            else:
                process.end()


class _Process:
    """One decoding process. It ends when its input does, so also when the process that started it is killed."""

    def __init__(self, module: str, max_pixels: int, cpu_seconds: int, wall_seconds: float) -> None:
        """Raises OSError or EOFError if it does not start."""
        self._cpu_seconds, self._wall_seconds = cpu_seconds, wall_seconds
        memory, size = max_pixels * BYTES_PER_PIXEL + SPARE_BYTES, max_pixels * 3
        shared = os.memfd_create("pixels")
        try:
            os.ftruncate(shared, size)  # a size, not yet memory: that comes as pixels do
            self._pixels = mmap(shared, size)
            # Nothing of our environment, where passwords are. A session of its own: Ctrl-C is for the worker to heed.
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(memory), str(shared), str(size)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pipesize=PIPE_BYTES,
                pass_fds=[shared],
                env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        finally:
            os.close(shared)
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._to, False)  # one that hangs does not read either
        self.usable = False
        try:
            read(self._from, len(READY), monotonic() + START_SECONDS)
        except (OSError, EOFError):
            self.end()
            raise
        self.usable = True

    def decode(self, request: bytes, content: bytes, max_pixels: int) -> Decoded:
        """What the process answers. After DecodeCrashed or DecodeTimeout it is not `usable` any more."""
        self.usable = False
        until = monotonic() + self._wall_seconds
        try:
            self._limit_cpu()
            write(self._to, request, until)
            write(self._to, content, until)
            answer = self._answer(max_pixels, until)
        except (OSError, EOFError) as error:  # it is gone, or says what it should not
            self._child.kill()
            if self._child.wait() == -signal.SIGXCPU or isinstance(error, TimeoutError):
                raise DecodeTimeout from error
            raise DecodeCrashed from error
        self.usable = True
        if isinstance(answer, Decoded):
            return answer
        raise answer

    def end(self) -> None:
        """End the process now, and wait until it has."""
        self._child.kill()
        self._child.communicate()
        self._pixels.close()

    def _limit_cpu(self) -> None:
        """The kernel ends the process when it has used so much more, also if nobody waits for it any more."""
        pid = self._child.pid
        used = clock_gettime(~pid << 3 | 2)  # the clock of another process's CPU time: clock_getcpuclockid(3)
        _, most = resource.prlimit(pid, resource.RLIMIT_CPU)
        resource.prlimit(pid, resource.RLIMIT_CPU, (ceil(used) + self._cpu_seconds, most))

    def _answer(self, max_pixels: int, until: float) -> Decoded | PermanentError:
        """The next answer, checked. Raises EOFError where it ends too soon, OSError where it is none."""
        kind, rows, columns, height, width, length = ANSWER.unpack(read(self._from, ANSWER.size, until))
        if kind == DECODED and 0 < rows * columns <= max_pixels >= height * width > 0:
            size = rows * columns * 3
            pixels = np.frombuffer(self._pixels, np.uint8, size).reshape(rows, columns, 3).copy()
            if size > KEPT_BYTES:
                self._pixels.madvise(MADV_REMOVE)
            return Decoded(pixels, width, height, columns / width)
        if DECODED < kind <= len(ERRORS) and length <= LONGEST_DETAIL:
            return ERRORS[kind - 1](read(self._from, length, until).decode(errors="replace"))
        raise OSError("not an answer")
