"""Zip archives that were made to do harm, each of another kind, and what a submission of one is answered.

Written by hand, record by record, because no library writes archives that lie.
"""

import bz2
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

MIB = 1024 * 1024
STORED, DEFLATED, DEFLATED64, BZIP2, LZMA = 0, 8, 9, 12, 14
ENCRYPTED, DESCRIBED_BEHIND = 1, 8
SYMLINK = 0o120777 << 16
MANY = 0xFFFFFFFF
# What the service under test takes; see `LIMITS`.
MOST_IMAGES, MOST_FILE_BYTES, MOST_UNPACKED = 200, 1_000_000, 1024 * MIB
LIMITS = {
    "FACEMEM_MAX_IMAGES_PER_JOB": str(MOST_IMAGES),
    "FACEMEM_MAX_FILE_BYTES": str(MOST_FILE_BYTES),
    "FACEMEM_MAX_UNPACKED_BYTES": str(MOST_UNPACKED),
}


@dataclass(frozen=True)
class Member:
    """One member as its records describe it; what they say need not be so. `behind` follows its content."""

    name: bytes
    packed: bytes
    size: int
    crc: int
    method: int = STORED
    flags: int = 0
    extra: bytes = b""
    attributes: int = 0
    behind: bytes = b""
    sizes: tuple[int, int] | None = None  # packed and unpacked, as the local head tells them

    def local(self) -> bytes:
        packed, size = (len(self.packed), self.size) if self.sizes is None else self.sizes
        head = struct.pack("<4s5H3I2H", b"PK\3\4", 45, self.flags, self.method, 0, 33, self.crc, packed, size,
                           len(self.name), len(self.extra))  # fmt: skip
        return head + self.name + self.extra + self.packed + self.behind

    def listed(self, offset: int) -> bytes:
        made_by, needs, noon = 0x0314, 45, (0, 33)
        told = (made_by, needs, self.flags, self.method, *noon, self.crc, len(self.packed), self.size)
        return (
            struct.pack("<4s6H3I5H2I", b"PK\1\2", *told, len(self.name), 0, 0, 0, 0, self.attributes, offset)
            + self.name
        )


def stored(name: str | bytes, content: bytes = b"content") -> Member:
    return Member(name if isinstance(name, bytes) else name.encode(), content, len(content), zlib.crc32(content))


def deflated(name: str, content: bytes) -> Member:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return replace(stored(name, content), packed=packer.compress(content) + packer.flush(), method=DEFLATED)


def archive(*members: Member, comment: bytes = b"", listed: int | None = None) -> bytes:
    """A whole archive. listed: how many members its end tells of, if not as many as there are."""
    body, directory = b"", b""
    for member in members:
        directory += member.listed(len(body))
        body += member.local()
    return body + directory + end(len(members) if listed is None else listed, len(directory), len(body), comment)


def end(members: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, members, members, size, offset, len(comment)) + comment


@dataclass(frozen=True)
class Bomb:
    """A kind of bomb. `said`: the code, and the limit if one was met; `images`: what became of each member instead."""

    kind: str
    make: Callable[[], bytes]
    status: int
    said: tuple[str, str | None] | None = None
    images: list[tuple[str, str | None]] = field(default_factory=list)


def flat() -> bytes:
    return archive(deflated("a.jpg", bytes(80 * MIB)))


def bzipped() -> bytes:
    content = bytes(64 * MIB)
    packed = bz2.compress(content)
    one = Member(b"a.jpg", packed, len(content), zlib.crc32(content), BZIP2)
    return archive(*(replace(one, name=f"{number}.jpg".encode()) for number in range(3)))


def overlapping() -> bytes:
    """One content for all that are listed: the packed content of each quotes the heads of those behind it."""
    content = bytes(20_000)
    members = [deflated("0.jpg", content)]
    for number in range(1, 30):
        inner = members[-1]
        head = inner.local()[: -len(inner.packed)]
        quoted = struct.pack("<B2H", 0, len(head), len(head) ^ 0xFFFF) + head + inner.packed
        whole = zlib.decompress(quoted, -zlib.MAX_WBITS)
        members.append(replace(stored(f"{number}.jpg", whole), packed=quoted, method=DEFLATED))
    body = members[-1].local()
    directory = b"".join(member.listed(len(body) - len(member.local())) for member in members)
    return body + directory + end(len(members), len(directory), len(body))


def one_content_listed_often() -> bytes:
    member = stored("a.jpg", bytes(1000))
    directory = member.listed(0) * 150
    return member.local() + directory + end(150, len(directory), len(member.local()))


def nested() -> bytes:
    inner = archive(*(deflated(f"{number}.jpg", bytes(40 * MIB)) for number in range(2)))
    return archive(stored("inner.zip", inner), stored("again/inner.zip", inner))


def lying_size() -> bytes:
    return archive(replace(deflated("a.jpg", bytes(900_000)), sizes=(900, 10)))


def lying_zip64() -> bytes:
    sizes = struct.pack("<2H2Q", 1, 16, 2**60, 2**60)
    return archive(replace(stored("a.jpg"), extra=sizes, sizes=(MANY, MANY)))


def lying_descriptor() -> bytes:
    member = replace(deflated("a.jpg", bytes(5000)), flags=DESCRIBED_BEHIND, sizes=(0, 0))
    return archive(replace(member, behind=struct.pack("<4s3I", b"PK\7\x08", member.crc, 7, 2**31)))


def climbing() -> bytes:
    return archive(*(stored(name) for name in CLIMBING))


def linking() -> bytes:
    return archive(replace(stored("a.jpg", b"/etc/passwd"), attributes=SYMLINK))


def other_method(method: int) -> bytes:
    return archive(replace(deflated("a.jpg", bytes(5000)), method=method))


CLIMBING = ("../../../../../../tmp/facemem-climbed.jpg", "/tmp/facemem-climbed.jpg", "C:\\facemem-climbed.jpg",
            "..\\..\\facemem-climbed.jpg", "a/../../facemem-climbed.jpg", "nul\0facemem-climbed.jpg")  # fmt: skip
HUGE = "n" * 65_000
INVALID, UNSUPPORTED = ("invalid_archive", None), ("unsupported_archive", None)

BOMBS = (
    Bomb("flat", flat, 413, ("limit_exceeded", "max_archive_ratio")),
    Bomb("bzip2, a million times smaller", bzipped, 413, ("limit_exceeded", "max_archive_ratio")),
    Bomb("more members than a job has images", lambda: archive(*map(stored, map(str, range(5000)))), 413,
         ("limit_exceeded", "max_images_per_job")),
    Bomb("members that quote each other", overlapping, 400, INVALID),
    Bomb("one content, listed often", one_content_listed_often, 400, INVALID),
    Bomb("archives in an archive", nested, 202, images=[("inner.zip", None), ("again/inner.zip", None)]),
    Bomb("a size that is not so", lying_size, 400, INVALID),
    Bomb("a zip64 size of an exabyte", lying_zip64, 400, INVALID),
    Bomb("a description behind the content that is not so", lying_descriptor, 400, INVALID),
    Bomb("names of 65,000 signs", lambda: archive(*(stored(HUGE) for _ in range(50))), 202,
         images=[("n" * 200, None)] * 50),
    Bomb("names that climb out", climbing, 202, images=[(name.replace("\0", ""), None) for name in CLIMBING]),
    Bomb("a link to a file of the server", linking, 202, images=[("a.jpg", None)]),
    Bomb("encrypted", lambda: archive(replace(stored("a.jpg", bytes(100)), flags=ENCRYPTED)), 422,
         ("encrypted_archive", None)),
    Bomb("a method that hardly anybody has", lambda: other_method(LZMA), 422, UNSUPPORTED),
    Bomb("a method that it is not", lambda: other_method(DEFLATED64), 400, INVALID),
    Bomb("a directory that is cut off", lambda: archive(*map(stored, "abc"))[:-60], 400, INVALID),
    Bomb("a directory that lists fewer", lambda: archive(*map(stored, "abc"), listed=1), 400, INVALID),
    Bomb("one name for all", lambda: archive(*(stored("a.jpg", bytes([n]) * 9) for n in range(9))), 202,
         images=[("a.jpg", None)] * 9),
    Bomb("the longest comment", lambda: archive(stored("a.jpg"), comment=b"-" * 65_535), 202, images=[("a.jpg", None)]),
    Bomb("a comment full of ends", lambda: archive(stored("a.jpg"), comment=b"PK\5\6" * 16_383), 400, INVALID),
    Bomb("something without end behind it", lambda: archive(stored("a.jpg")) + b"PK\5\6" * 500_000, 400, INVALID),
    Bomb("a file that is too large for an image", lambda: archive(deflated("a.jpg", bytes(2 * MIB)), stored("b.jpg")),
         202, images=[("a.jpg", "too_large"), ("b.jpg", None)]),
)  # fmt: skip
