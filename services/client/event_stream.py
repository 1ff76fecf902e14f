"""Server-sent events, read line by line (HTML standard, "Server-sent events")."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from services.client.calls import Calls

# The service sends a sign of life more often than that.
TIMEOUT = httpx.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Event:
    """One event. `id` is where to go on from after it."""

    type: str
    data: str
    id: str | None


def read(calls: Calls, path: str, last: str | None) -> Iterator[Event]:
    """The events of a stream after the one with the id `last`. Raises Unreachable when it breaks off."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
    with calls.stream(path, headers=headers, timeout=TIMEOUT) as response:
        yield from events(lines(response.iter_bytes()))


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream. Only what the standard calls an end of line ends one, unlike `str.splitlines`."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode()


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The events that these lines say."""
    kind, data, identity = "message", list[str](), None
    for line in lines:
        if not line:
            if data:
                yield Event(kind, "\n".join(data), identity)
            kind, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value
