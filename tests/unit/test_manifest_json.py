"""A manifest that is one JSON document, read in pieces."""

import json
from io import BytesIO
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.submission import json_document
from services.api.submission.json_document import images
from services.api.submission.lines import MAX_LINE_BYTES, reader
from services.api.submission.refusals import InvalidManifest
from shared.jobs.accept import NewImage

IMAGE = reader(private=False)
LINKS = [f"https://example.org/{number}.jpg" for number in range(3)]


def taken(document: str | bytes) -> tuple[list[NewImage], dict[str, Any]]:
    options: dict[str, Any] = {}
    raw = document.encode() if isinstance(document, str) else document
    return list(images(BytesIO(raw), IMAGE, options)), options


def urls(found: list[NewImage]) -> list[str | None]:
    return [image.source_url for image in found]


@pytest.mark.parametrize("before", [True, False])
def test_options_may_stand_before_and_after_the_images(before: bool) -> None:
    lines = {"images": [{"url": link} for link in LINKS]}
    options = {"name": 'a " \\ ] } name', "metadata": {"deep": [{"er": "]}"}]}, "scores_only": True, "labels": []}
    document = {**options, **lines} if before else {**lines, **options}
    for indent in (None, 2):
        found, read = taken(json.dumps(document, indent=indent))
        assert urls(found) == LINKS
        assert read == options


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    items=st.lists(VALUES, max_size=6),
    options=st.dictionaries(st.text().filter(lambda name: name != "images"), VALUES, max_size=4),
    chunk=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_any_document_is_taken_apart_as_the_standard_reader_does(
    items: list, options: dict, chunk: int, ascii_only: bool
) -> None:
    document = json.dumps({"images": items, **options}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    seen: list[Any] = []

    def keep(said: Any, _: int | None) -> NewImage:
        seen.append(said)
        return NewImage("-")

    read: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_document, "READ_BYTES", chunk)
        list(images(BytesIO(document), keep, read))
    assert (seen, read) == (items, options)


@given(st.binary(max_size=60), st.integers(1, 20))
def test_no_bytes_break_it(noise: bytes, place: int) -> None:
    whole = b'{"images": [{"url": "https://example.org/a.jpg"}], "name": "x"}'
    for document in (noise, whole[:place] + noise, whole[:place] + noise + whole[place:]):
        try:
            found, _ = taken(document)
        except InvalidManifest:
            continue
        assert all(image.name for image in found)


@pytest.mark.parametrize(
    "document",
    [
        "",
        " ",
        "not json",
        "[]",
        "7",
        '"images"',
        "{}",
        "{",
        '{"images"}',
        '{"images": }',
        '{"images": 7}',
        '{"images": {}}',
        '{"images": [}',
        '{"images": [,]}',
        '{"images": [{"url": "https://example.org/a.jpg"},]}',
        '{"images": [{"url": "https://example.org/a.jpg"}',
        '{"images": [{"url": "https://exam',
        '{"images": [] "name": "x"}',
        '{"images": [], }',
        '{"images": [], "images": []}',
        '{"name": "a", "name": "b", "images": []}',
        '{"images": []} x',
        '{"images": []}{"images": []}',
        '{"images": [], "metadata": {"a": 1, "a": 2}}',
        '{"images": [], "metadata": {"a": NaN}}',
        '{"images": [], "name": \'x\'}',
        '{"images": [], 7: 8}',
        '{"images": [], /* why */ "name": "x"}',
        '{"name": "x", "name": ' + "[" * 5000 + "]" * 5000 + ', "images": []}',
        '{"name": "' + "x" * (MAX_LINE_BYTES + 1) + '", "images": []}',
        '{"images": [' + "9" * (3 * MAX_LINE_BYTES) + "]}",
        "{" + ",".join(f'"{n}": 1' for n in range(65)) + "}",
        b'{"images": [], "name": "\xff"}',
        b'{"images": [], "\xff": 1}',
    ],
)
def test_what_is_no_document_is_refused(document: str | bytes) -> None:
    with pytest.raises(InvalidManifest) as refused:
        taken(document)
    assert len(refused.value.detail) > 20


@pytest.mark.parametrize(
    "item",
    [
        b"7",
        b"null",
        b'"https://example.org/a.jpg"',
        b"[]",
        b"{}",
        b"nothing",
        b'{"url": 7}',
        b'{"url": ""}',
        b'{"url": "https://example.org/a.jpg", "url": "https://example.org/b.jpg"}',
        b'{"url": "https://example.org/a.jpg", "other": 1}',
        b'{"url": "https://example.org/a.jpg", "metadata": {"a": NaN}}',
        b'{"url": "https://example.org/a.jpg", "metadata": {"a": 1e999}}',
        b'{"url": "https://example.org/a.jpg", "metadata": {"a": ' + b"9" * 5000 + b"}}",
        b'{"url": "https://example.org/a.jpg", "metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 41,
        b'{"url": "https://example.org/a.jpg", "metadata": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"url": "https://example.org/\\ud800.jpg"}',
        b'{"url": "https://example.org/\\u0000.jpg"}',
        b'{"url": "https://example.org/\xff.jpg"}',
        b'{"url": "https://example.org/\xed\xa0\x80.jpg"}',
        b'{"url": "https://example.org/' + b"a" * 3000 + b'"}',
        b'{"url": "https://example.org/' + b"a" * (MAX_LINE_BYTES + 1) + b'"}',
        b'{"url": "https://example.org/' + b'\\"' * (2 * MAX_LINE_BYTES) + b'"}',
        b'{"url": "x", "metadata": [' + b"[],{}," * MAX_LINE_BYTES + b"1]}",
        b'{"url" "https://example.org/a.jpg"}',
        b'{"url": "https://example.org/a.jpg"]',
    ],
)
def test_an_item_that_cannot_be_read_fails_alone(item: bytes) -> None:
    good = b'{"url": "https://example.org/good.jpg"}'
    found, options = taken(b'{"images": [' + good + b"," + item + b" , " + good + b'], "name": "x"}')
    assert options == {"name": "x"}
    assert [image.state for image in found] == ["ready", "failed", "ready"]
    assert found[1].rejected is not None
    assert found[1].rejected.code == "invalid_line"
    assert 0 < len(found[1].name) <= 2048
    found[1].name.encode()


class Endless(BytesIO):
    """A document that has no end, and tells how much of it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count()

    def read(self, size: int | None = -1) -> bytes:
        if next(self.numbers) == 0:
            return b'{"images": ['
        return b'{"url": "https://example.org/a.jpg"},' * 1000


def test_images_come_before_the_document_ends() -> None:
    found = images(Endless(), IMAGE, {})
    assert [next(found).source_url for _ in range(2500)] == ["https://example.org/a.jpg"] * 2500
