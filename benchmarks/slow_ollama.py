"""A stand-in for Ollama that takes as long for a caption as it is told, for however many at once, and computes nothing.

It answers what facemem's captioner asks: which models there are (GET /api/tags), and a caption word by word, spread
evenly over that time (POST /api/chat). A benchmark asks how many captions it has written, and how many it had in hand
at most since it was last asked (GET /done), and may change the time (PUT /seconds).

python -m benchmarks.slow_ollama PORT SECONDS
"""

import asyncio
import json
import sys
from hashlib import sha256
from typing import Any

MODEL = "llama3.2-vision:latest"
DIGEST = sha256(MODEL.encode()).hexdigest()
CAPTION = (
    "The face is seen from the front, with short dark hair above a high forehead, calm brown eyes under even brows, "
    "and a faint smile in soft light from the left."
)
WORDS = [f"{word} " for word in CAPTION.split()]
MAX_HEAD = 65536  # bytes


class SlowOllama:
    """The server's state: how long a caption takes, and how many are in hand."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._in_hand = 0
        self._most = 0
        self._written = 0

    async def serve(self, port: int) -> None:
        """Answer on a port of loopback until the process is ended."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port, limit=MAX_HEAD, backlog=1024)
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            """The other side is gone."""
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False when the connection is to be closed."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if (method, path) == ("GET", "/api/tags"):
            writer.write(whole({"models": [{"name": MODEL, "model": MODEL, "digest": DIGEST, "size": 1}]}))
            return True
        if (method, path) == ("GET", "/done"):
            writer.write(whole({"written": self._written, "most": self._most}))
            self._most = self._in_hand
            return True
        if (method, path) == ("PUT", "/seconds"):
            self._seconds = float(body)
            writer.write(whole({}))
            return True
        if (method, path) == ("POST", "/api/chat"):
            await self._caption(writer)
        else:
            writer.write(whole({"error": "not found"}, "404 Not Found"))
        return False

    async def _caption(self, writer: asyncio.StreamWriter) -> None:
        """The words at their times, counted from the beginning: so delays do not add up, and the caption is in time."""
        self._in_hand += 1
        self._most = max(self._most, self._in_hand)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")
            for number, word in enumerate(WORDS, 1):
                await asyncio.sleep(began + self._seconds * number / len(WORDS) - clock())
                writer.write(part(word))
                await writer.drain()
            writer.write(part("", done=True))
            self._written += 1
            await writer.drain()
        finally:
            self._in_hand -= 1


def whole(content: dict[str, Any], status: str = "200 OK") -> bytes:
    """An answer in one piece."""
    body = json.dumps(content).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def part(word: str, done: bool = False) -> bytes:
    """One line of an answer that is being written."""
    said = {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": word}}
    return json.dumps(said | {"done": done}).encode() + b"\n"


if __name__ == "__main__":
    asyncio.run(SlowOllama(float(sys.argv[2])).serve(int(sys.argv[1])))
