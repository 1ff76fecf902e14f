"""Archives while they arrive: members are read one after the other, never by paths, and nothing is taken on trust."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from services.api.problems import LimitExceeded
from services.api.submission.refusals import check_number
from services.api.submission.spool import spooled
from services.api.submission.storing import NotAFile, Storing
from shared.settings import Settings

# Photographs are compressed already. What grows more than this, beyond the first bytes, was made to do harm.
MAX_RATIO = 50
RATIO_FREE_BYTES = 64 * 1024 * 1024
# What systems put beside people's files.
LEFTOVERS = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Member:
    """One member of an archive. `content`, counted by the guard, is to be read to its end before the next member.

    `refused` says why it is no file, if it is none.
    """

    name: str
    content: Iterable[bytes]
    refused: NotAFile | None = None


@dataclass
class Guard:
    """Counts what was really read and unpacked, whatever the archive says about itself."""

    settings: Settings
    packed: int = 0
    unpacked: int = 0
    members: int = 0

    def arriving(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces of the archive, counted."""
        for piece in pieces:
            self.packed += len(piece)
            yield piece

    def unpacking(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces of what was in it, counted. Raises LimitExceeded."""
        for piece in pieces:
            self.unpacked += len(piece)
            if self.unpacked > (most := self.settings.max_unpacked_bytes):
                raise LimitExceeded(
                    f"An archive may have {most:,} bytes in all when it is unpacked; split it into several.",
                    limit="max_unpacked_bytes",
                    maximum=most,
                )
            if self.unpacked > RATIO_FREE_BYTES and self.unpacked > MAX_RATIO * self.packed:
                raise LimitExceeded(
                    f"The archive grows to more than {MAX_RATIO} times its size; send the images as they are.",
                    limit="max_archive_ratio",
                    maximum=MAX_RATIO,
                )
            yield piece

    def member(self) -> None:
        """One more member, of whatever kind. Raises LimitExceeded."""
        self.members += 1
        check_number(self.members, self.settings)


Opened = Callable[[Iterator[bytes], Guard], Iterable[Member]]


def receive(pieces: Iterable[bytes], opened: Opened, settings: Settings, storing: Storing) -> None:
    """Stores the files of an archive. Raises RequestError for what cannot be read or is too much."""
    guard = Guard(settings)
    arriving = guard.arriving(pieces)
    for member in opened(arriving, guard):
        guard.member()
        if is_leftover(member.name) or member.name.endswith("/"):
            for _ in member.content:
                pass
        elif member.refused:
            storing.reject(member.name, member.refused)
        else:
            storing.add(member.name, spooled(member.content, settings.max_file_bytes))
    storing.finish()


def is_leftover(name: str) -> bool:
    """Whether a name is hidden, or what a system leaves beside people's files."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any((part.startswith(".") and part not in (".", "..")) or part.lower() in LEFTOVERS for part in parts)
