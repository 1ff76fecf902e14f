"""Reading multipart bodies part by part."""

from contextlib import closing
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from services.api.problems import InvalidSubmission, LimitExceeded
from services.api.submission.boundaries import CHUNK_BYTES
from services.api.submission.multipart import MAX_FIELD_BYTES, SentField, SentFile, parts
from services.api.submission.spool import SPOOL_BYTES, Spooled

BOUNDARY = b"line"
BODY = (
    b"A preamble, which means nothing.\r\n"
    b'--line\r\nContent-Disposition: form-data; name="name"\r\n\r\ngr\xc3\xbcn\r\n'
    b'--line\r\nContent-Disposition: form-data; name="images"; filename="a/\xc3\xa4.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\none\r\n--lin\r\n--lines\r\ntwo\r\n"
    b'--line\r\nContent-Disposition: form-data; name="images"; filename=""\r\n\r\n\r\n'
    b"--line--"
)
PARTS = [("name", "grün"), ("images", "a/ä.jpg", b"one\r\n--lin\r\n--lines\r\ntwo"), ("images", "", b"")]


class InSteps(BytesIO):
    """A connection that delivers so many bytes at a time."""

    def __init__(self, body: bytes, step: int) -> None:
        super().__init__(body)
        self.step = step

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.step)


def trickling(body: bytes) -> InSteps:
    return InSteps(body, 1)


def taken(stream: BytesIO, boundary: bytes = BOUNDARY, max_file_bytes: int = 1000) -> list[tuple]:
    """Everything there is, closed as a taker should."""
    found: list[tuple] = []
    for part in parts(stream, boundary, max_file_bytes):
        if isinstance(part, SentField):
            found.append((part.name, part.value))
        else:
            with closing(part.file) as file:
                found.append((part.name, part.filename, kept(file)))
    return found


def kept(file: Spooled) -> bytes:
    return file.content if isinstance(file.content, bytes) else file.content.read()


def test_a_field_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidSubmission):
        taken(BytesIO(BODY.replace(b"gr\xc3\xbcn", b"gr\xfcn")))


def form(*contents: bytes) -> bytes:
    head = b'--line\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    return b"".join(head + content + b"\r\n" for content in contents) + b"--line--\r\n"


class InTwo(BytesIO):
    """A connection that delivers so many bytes, and then the rest."""

    def __init__(self, body: bytes, first: int) -> None:
        super().__init__(body)
        self.first = first

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.first if self.tell() == 0 else size)


def test_parts_come_in_order_however_the_bytes_arrive() -> None:
    assert taken(BytesIO(BODY)) == taken(trickling(BODY)) == PARTS
    for first in range(1, len(BODY)):
        assert taken(InTwo(BODY, first)) == PARTS


def test_a_boundary_may_end_like_the_closing_one() -> None:
    body = BODY.replace(b"--line", b"--line-")
    for first in range(1, len(body)):
        assert taken(InTwo(body, first), b"line-")[2] == PARTS[2]


def test_lines_may_end_without_a_carriage_return() -> None:
    body = BODY.replace(b"\r\n", b"\n")
    content = PARTS[1][-1].replace(b"\r\n", b"\n")
    assert taken(BytesIO(body)) == taken(trickling(body)) == [PARTS[0], (*PARTS[1][:-1], content), PARTS[2]]


def test_what_only_resembles_a_boundary_is_content() -> None:
    alike = [b"\r\n--lineX", b"\n--line \t-", b"\r--line--", b"\r\n--line-", b"\n--line" + b" " * 200, b"\r\n\r"]
    wanted = [("images", "a", content) for content in (*alike, b"".join(alike))]
    body = form(*alike, b"".join(alike))
    for step in (1, 2, 3, 5, 7, CHUNK_BYTES):
        assert taken(InSteps(body, step)) == wanted


def test_a_boundary_is_found_wherever_the_pieces_end() -> None:
    for size in range(CHUNK_BYTES - 200, CHUNK_BYTES + 1):
        content = b"\r\n" * (size // 2) + b"\n" * (size % 2)
        assert taken(BytesIO(form(content, b"next")), max_file_bytes=size) == [
            ("images", "a", content),
            ("images", "a", b"next"),
        ]


def test_a_body_that_is_cut_off_anywhere_is_refused() -> None:
    for end in range(len(BODY)):
        with pytest.raises(InvalidSubmission, match="cut off"):
            taken(BytesIO(BODY[:end]))


def test_what_follows_the_closing_boundary_is_not_read() -> None:
    stream = BytesIO(BODY + b"\r\n" + b"-" * 1_000_000)
    assert taken(stream) == PARTS
    assert stream.tell() < 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"-" * 1_000_000,
        b'--line\r\nContent-Disposition: form-data; name="' + b"-" * 1_000_000,
        b"--line\r\nContent-Disposition: form-data; name=a\r\n" + b"X-More: more\r\n" * 100_000,
    ],
)
def test_what_never_becomes_a_part_is_not_kept_in_memory(body: bytes) -> None:
    stream = BytesIO(body)
    with pytest.raises(InvalidSubmission, match=r"boundary|head"):
        taken(stream)
    assert stream.tell() < 200_000


@pytest.mark.parametrize(
    "head", [b"", b"Content-Type: image/jpeg\r\n", b"Content-Disposition: form-data\r\n", b"Content-Disp\xff: a\r\n"]
)
def test_a_part_must_say_what_it_is(head: bytes) -> None:
    with pytest.raises(InvalidSubmission):
        taken(BytesIO(b"--line\r\n" + head + b"\r\ncontent\r\n--line--"))


def test_a_field_is_bounded() -> None:
    head, end = b"--line\r\nContent-Disposition: form-data; name=metadata\r\n\r\n", b"\r\n--line--"
    assert taken(BytesIO(head + b"-" * MAX_FIELD_BYTES + end)) == [("metadata", "-" * MAX_FIELD_BYTES)]
    with pytest.raises(LimitExceeded, match="'metadata'") as refused:
        taken(BytesIO(head + b"-" * (MAX_FIELD_BYTES + 1) + end))
    assert (refused.value.limit, refused.value.maximum) == ("max_field_bytes", MAX_FIELD_BYTES)


def test_a_file_that_is_too_large_is_counted_but_not_kept() -> None:
    [large, next_one] = parts(BytesIO(form(b"-" * 1_000_000, b"next")), BOUNDARY, max_file_bytes=1000)
    assert isinstance(large, SentFile)
    assert isinstance(next_one, SentFile)
    with closing(large.file), closing(next_one.file):
        assert large.file.size == 1_000_000
        assert large.file.digest == sha256(b"-" * 1_000_000).digest()
        assert len(kept(large.file)) <= 1000
        assert kept(next_one.file) == b"next"
        assert next_one.file.digest == sha256(b"next").digest()


def test_only_files_that_were_taken_and_not_closed_are_open() -> None:
    def opened() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    before = opened()
    for part in parts(BytesIO(form(*[b"-" * (SPOOL_BYTES + 1)] * 5)), BOUNDARY, max_file_bytes=2 * SPOOL_BYTES):
        assert isinstance(part, SentFile)
        assert opened() == before + 1
        part.file.close()
    with pytest.raises(InvalidSubmission):
        taken(BytesIO(form(b"-" * (SPOOL_BYTES + 1))[:-20]), max_file_bytes=2 * SPOOL_BYTES)
    assert opened() == before
