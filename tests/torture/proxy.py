"""A TCP proxy that misbehaves as it is told: what stands between facemem and a server it needs.

Faults can be changed while connections are open, and hold for all of them from then on.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic
from typing import Self

PIECE_BYTES = 64 * 1024
LOOK_SECONDS = 0.02
# SO_LINGER with no time to linger: closing sends RST instead of FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What is wrong with the way to a server.

    delay: seconds before each piece is passed on; latency: before each that the server sends. rate: bytes a second that
    pass. black_hole: nothing passes, and nobody is told. refuse: connections are reset as soon as they are made.
    cut_after: an answer is reset after so many bytes of a connection, or with `quietly` ended as if it were complete.
    corrupt: of so many pieces that the server sends, one has a bit of its first byte changed; with `beginning` of those
    only that begin so. answer: is sent instead of what the server answers, though it did what it was asked; with
    `unasked` it is not even asked.
    """

    delay: float = 0.0
    latency: float = 0.0
    rate: float = inf
    black_hole: bool = False
    refuse: bool = False
    cut_after: int | None = None
    corrupt: int | None = None
    beginning: bytes = b""
    quietly: bool = False
    answer: bytes | None = None
    unasked: bool = False


NONE = Fault()


class FaultProxy:
    """Listens on loopback and passes everything on, until it is told of a fault.

    target: a port of loopback, or the path of a Unix socket.

    met: pieces that the last fault was done to. waited: the most seconds for which somebody has waited for an answer
    that was held back by it, until it came, or until who waited had gone.
    """

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._fault = NONE
        self._open: set[asyncio.StreamWriter] = set()
        self._held: dict[asyncio.StreamWriter, float] = {}  # clients whose answer is held back, and since when
        self.met = 0
        self.waited = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """Misbehave as long as the block lasts. What is held back then is so to its end."""
        self.met, self.waited = 0, 0.0
        self._fault = fault
        try:
            yield
        finally:
            self._fault = NONE

    def reset(self) -> int:
        """Reset every open connection, on both sides. Returns how many there were."""
        return asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result() // 2

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> int:
        writers = list(self._open)
        for writer in writers:
            _abort(writer)
        return len(writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.refuse:
            self.met += 1
            _abort(writer)
            return
        try:
            upstream_reader, upstream = await self._connect()
        except OSError:
            _abort(writer)
            return
        pair = {writer, upstream}
        self._open |= pair
        try:
            await asyncio.gather(
                self._pass_on(reader, upstream, answers=False, client=writer),
                self._pass_on(upstream_reader, writer, answers=True, client=writer),
            )
        except (OSError, asyncio.CancelledError):  # cancelled when the proxy ends
            for side in pair:
                _abort(side)
        finally:
            self._open -= pair
            self._waits_no_more(writer)
            for side in pair:
                side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target))
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool, client: asyncio.StreamWriter
    ) -> None:
        passed = pieces = 0
        while piece := await reader.read(PIECE_BYTES):
            fault = await self._hold_back(len(piece), client, answers=answers)
            if fault.answer is not None and (answers or fault.unasked):
                self.met += 1
                await _end(client, fault.answer)
            if answers and fault.corrupt and piece.startswith(fault.beginning):
                pieces += 1
                if pieces % fault.corrupt == 0:
                    self.met += 1
                    piece = bytes([piece[0] ^ 1]) + piece[1:]
            if answers and fault.cut_after is not None and passed + len(piece) > fault.cut_after:
                self.met += 1
                last = piece[: max(fault.cut_after - passed, 0)]
                await _end(writer, last, quietly=fault.quietly)
            passed += len(piece)
            writer.write(piece)
            await writer.drain()
        if not answers:
            self._waits_no_more(client)  # it has hung up
        with suppress(OSError):
            writer.write_eof()

    async def _hold_back(self, size: int, client: asyncio.StreamWriter, *, answers: bool) -> Fault:
        """Let the time pass that a piece of this size takes. Returns what else is to be done to it."""
        if answers:
            self._held[client] = monotonic()
        vanished = self._fault.black_hole
        self.met += vanished
        while self._fault.black_hole:
            await asyncio.sleep(LOOK_SECONDS)
        fault = self._fault
        seconds = fault.delay + size / fault.rate + (fault.latency if answers else 0)
        self.met += seconds > 0 and not vanished
        await asyncio.sleep(seconds)
        if answers:
            self._waits_no_more(client)
        return fault

    def _waits_no_more(self, client: asyncio.StreamWriter) -> None:
        since = self._held.pop(client, None)
        if since is not None:
            self.waited = max(self.waited, monotonic() - since)


async def _end(writer: asyncio.StreamWriter, last: bytes, *, quietly: bool = True) -> None:
    """Send what is to be sent last, and end the connection: quietly, or with a reset. Raises ConnectionResetError."""
    with suppress(OSError):
        writer.write(last)
        await writer.drain()
        if quietly:
            writer.write_eof()
            await asyncio.sleep(LOOK_SECONDS)  # else what follows might overtake it
    raise ConnectionResetError("ended, as told")


def _abort(writer: asyncio.StreamWriter) -> None:
    connected: socket.socket | None = writer.get_extra_info("socket")
    if connected is not None:
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
