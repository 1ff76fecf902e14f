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
from typing import Self

PIECE_BYTES = 64 * 1024
LOOK_SECONDS = 0.02
# SO_LINGER with no time to linger: closing sends RST instead of FIN.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What is wrong with the way to a server.

    delay: seconds before each piece is passed on. rate: bytes a second that pass. black_hole: nothing passes, and
    nobody is told. refuse: connections are reset as soon as they are made. cut_after: an answer is reset after so many
    bytes of a connection, or with `quietly` ended as if it were complete. corrupt: of so many pieces that the server
    sends, one has a bit changed. answer: is sent instead of what the server answers, though it did what it was asked;
    with `unasked` it is not even asked.
    """

    delay: float = 0.0
    rate: float = inf
    black_hole: bool = False
    refuse: bool = False
    cut_after: int | None = None
    corrupt: int | None = None
    quietly: bool = False
    answer: bytes | None = None
    unasked: bool = False


NONE = Fault()


class FaultProxy:
    """Listens on loopback and passes everything on, until it is told of a fault.

    target: a port of loopback, or the path of a Unix socket.
    """

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._fault = NONE
        self._open: set[asyncio.StreamWriter] = set()
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
        """Misbehave as long as the block lasts."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = NONE

    def reset(self) -> None:
        """Reset every open connection, on both sides."""
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result()

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

    async def _reset(self) -> None:
        for writer in list(self._open):
            _abort(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._fault.refuse:
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
            while self._fault.black_hole:
                await asyncio.sleep(LOOK_SECONDS)
            fault = self._fault
            await asyncio.sleep(fault.delay + len(piece) / fault.rate)
            pieces += 1
            if fault.answer is not None and (answers or fault.unasked):
                await _end(client, fault.answer)
            if answers and fault.corrupt and pieces % fault.corrupt == 0:
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            if answers and fault.cut_after is not None and passed + len(piece) > fault.cut_after:
                last = piece[: max(fault.cut_after - passed, 0)]
                await _end(writer, last, quietly=fault.quietly)
            passed += len(piece)
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()


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
