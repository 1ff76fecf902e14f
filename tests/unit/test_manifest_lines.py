"""Manifests as JSON lines and as CSV, and what a line may say."""

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.problems import LimitExceeded
from services.api.submission import manifests
from services.api.submission.lines import MAX_LINE_BYTES, reader
from services.api.submission.refusals import InvalidManifest
from shared.jobs.accept import NewImage
from shared.settings import Settings

IMAGE = reader(private=False)
GOOD = '{"url": "https://example.org/a.jpg"}'
SETTINGS = Settings(
    database_url="postgresql+psycopg://-", broker_url="redis://-", storage_url="folder:/-", max_manifest_bytes=1000
)


def json_lines(text: str | bytes) -> list[NewImage]:
    return list(manifests.json_lines(BytesIO(text.encode() if isinstance(text, str) else text), IMAGE))


def table(text: str | bytes) -> list[NewImage]:
    return list(manifests.table(BytesIO(text.encode() if isinstance(text, str) else text), IMAGE))


def reasons(found: list[NewImage]) -> list[str | None]:
    return [image.rejected.code if image.rejected else None for image in found]


# --- What a line may say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason", "source"),
    [
        ("https://example.org/a.jpg", None, "https://example.org/a.jpg"),
        ("HTTPS://example.org/a.jpg", None, "HTTPS://example.org/a.jpg"),
        ("s3://archive/2024/a b.jpg", None, "s3://archive/2024/a b.jpg"),
        ("S3://archive/a.jpg", None, "s3://archive/a.jpg"),
        ("upload:0190A6D2-7B3C-7E51-8A64-3F9D21C0B7E5", None, "upload:0190a6d2-7b3c-7e51-8a64-3f9d21c0b7e5"),
        ("http://example.org/a.jpg", "fetch_refused", None),
        ("ftp://example.org/a.jpg", "fetch_refused", None),
        ("file:///etc/passwd", "fetch_refused", None),
        ("gopher://example.org/1", "fetch_refused", None),
        ("upload:", "invalid_line", None),
        ("upload:7", "invalid_line", None),
        ("s3://", "invalid_line", None),
        ("s3://archive", "invalid_line", None),
        ("s3://archive/", "invalid_line", None),
        ("s3://../a.jpg", "invalid_line", None),
        ("https://", "invalid_line", None),
        ("https:// example.org", "invalid_line", None),
        ("/etc/passwd", "invalid_line", None),
        ("a.jpg", "invalid_line", None),
        ("javascript:alert(1)", "invalid_line", None),
        ("", "invalid_line", None),
    ],
)
def test_links_that_we_take(url: str, reason: str | None, source: str | None) -> None:
    image = IMAGE({"url": url, "custom_id": "c"}, 3)
    assert (reasons([image])[0], image.source_url) == (reason, source)
    assert (image.custom_id, image.line, image.name) == ("c", 3, url or '{"url": "", "custom_id": "c"}')


def test_http_is_taken_where_intake_fetches_from_intranets() -> None:
    assert reader(private=True)({"url": "http://intranet/a.jpg"}, None).rejected is None


def test_everything_of_a_line_is_kept() -> None:
    said = {"url": "https://example.org/a.jpg", "custom_id": "7", "name": "crew", "metadata": {"a": [1, {"b": None}]}}
    image = IMAGE(said, 1)
    assert (image.name, image.custom_id, image.client_metadata) == ("crew", "7", said["metadata"])


# --- JSON lines --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_numbered_and_blank_ones_mean_nothing(end: str) -> None:
    found = json_lines(end.join(["", GOOD, "   ", GOOD, "broken", GOOD]))
    assert [image.line for image in found] == [2, 4, 5, 6]
    assert reasons(found) == [None, None, "invalid_line", None]
    assert found[2].name == "broken"


@pytest.mark.parametrize(
    "line",
    [
        b"7",
        b"{",
        b'{"url": "https://example.org/\xe4.jpg"}',
        b'{"url": "https://example.org/a.jpg", "url": "https://example.org/b.jpg"}',
        b'{"url": "https://example.org/a.jpg", "metadata": {"a": Infinity}}',
        b'{"url": "https://example.org/\\udfff.jpg"}',
        b'{"url": "https://example.org/a.jpg", "name": "\\u0000"}',
        b"[" * 100_000,
        b"\0\0\0",
        b"x" * (MAX_LINE_BYTES + 1),
        b'{"url": "' + b"x" * (3 * MAX_LINE_BYTES) + b'"}',
    ],
)
def test_a_line_that_cannot_be_read_fails_alone(line: bytes) -> None:
    found = json_lines(GOOD.encode() + b"\n" + line + b"\r\n" + GOOD.encode())
    assert reasons(found) == [None, "invalid_line", None]
    assert [image.line for image in found] == [1, 2, 3]
    assert 0 < len(found[1].name) <= 200


def test_nesting_of_any_depth_fails_alone() -> None:
    for depth in range(20, 1100, 7):
        line = '{"url": "https://example.org/a.jpg", "metadata": {"a": ' + "[" * depth + "]" * depth + "}}"
        for deep in (line, "[" * depth + "]" * depth):
            found = json_lines(f"{GOOD}\n{deep}\n")
            assert reasons(found)[0] is None
            assert reasons(found)[1] == (None if depth < 31 and deep is line else "invalid_line")


def test_lines_without_any_object_are_no_manifest() -> None:
    assert json_lines("") == []
    for text in ("<html>\n</html>", "url,name\nhttps://example.org/a.jpg,a", "7", "x" * (MAX_LINE_BYTES + 1)):
        with pytest.raises(InvalidManifest):
            json_lines(text)


# --- CSV ---------------------------------------------------------------------------------------------------------


def test_other_columns_become_metadata_as_text() -> None:
    found = table(
        "custom_id,url,photographer,name,year\r\n"
        '7,https://example.org/a.jpg,"Doe, ""Jo""",crew,2024\r\n'
        "\r\n"
        ",https://example.org/b.jpg,,,\r\n"
        '8,https://example.org/c.jpg,"two\r\nlines",,\r\n'
    )
    assert reasons(found) == [None, None, None]
    assert [image.custom_id for image in found] == ["7", None, "8"]
    assert [image.name for image in found] == ["crew", "https://example.org/b.jpg", "https://example.org/c.jpg"]
    assert found[0].client_metadata == {"photographer": 'Doe, "Jo"', "year": "2024"}
    assert found[1].client_metadata == {}
    assert found[2].client_metadata == {"photographer": "two\r\nlines"}
    assert [image.line for image in found] == [2, 4, 5]


@pytest.mark.parametrize(
    "row",
    [
        b"https://example.org/a.jpg",
        b"https://example.org/a.jpg,a,more",
        b",a",
        b"https://example.org/\xff.jpg,a",
        b"https://example.org/a.jpg,\0",
        b"https://example.org/a.jpg," + b"a" * 201,
        b"https://example.org/a.jpg," + b"a" * 140_000,
        b"https://example.org/a.jpg," + b"a" * (MAX_LINE_BYTES + 1),
        b"nothing,a",
        b"a\rb,c",
    ],
)
def test_a_row_that_cannot_be_read_fails_alone(row: bytes) -> None:
    good = b"https://example.org/good.jpg,b\n"
    found = table(b"url,name\n" + good + row + b"\n" + good)
    assert reasons(found) == [None, "invalid_line", None]
    assert [image.line for image in found] == [2, 3, 4]
    assert found[1].name


def test_a_quote_that_is_never_closed_ends_somewhere() -> None:
    good = b"https://example.org/good.jpg,b\n"
    found = table(b'url,name\n"https://example.org/a.jpg,b\n' + good * 10_000)
    assert "invalid_line" in reasons(found)
    assert reasons(found)[-1] is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"https://example.org/a.jpg\nhttps://example.org/b.jpg\n",
        b"url;name\nhttps://example.org/a.jpg;a",
        b"url,name,url\n",
        b"name,custom_id\n",
        b'{"images": []}',
        b"\xff\xd8\xff\xe0 a jpeg",
        b"url,name\rhttps://example.org/a.jpg,a\r",
        b"url" + b"," * MAX_LINE_BYTES + b"\n",
    ],
)
def test_a_table_without_columns_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidManifest) as refused:
        table(text)
    assert len(refused.value.detail) > 20


@given(st.lists(st.text(max_size=30), max_size=5), st.lists(st.binary(max_size=50), max_size=8))
def test_nothing_breaks_them(texts: list[str], noise: list[bytes]) -> None:
    lines = [json.dumps({"url": text}).encode() for text in texts] + noise
    for image in table(b"url,name\n" + b"\n".join(lines)):
        image.name.encode()
    try:
        found = json_lines(b"\n".join(lines))
    except InvalidManifest:
        return
    for image in found:
        image.name.encode()


# --- The file ----------------------------------------------------------------------------------------------------


def kept(*pieces: bytes, announced: int | None = None) -> bytes:
    manifest = manifests.keep(iter(pieces), announced, SETTINGS)
    with manifest.file as file:
        return file.read()


def test_marks_of_byte_order() -> None:
    assert kept(b"\xef", b"\xbb\xbfabc") == b"abc"
    for encoding in ("utf-16", "utf-32", "utf-16-le", "utf-16-be"):
        with pytest.raises(InvalidManifest):
            kept(GOOD.encode(encoding))


def test_a_manifest_has_a_limit() -> None:
    assert kept(b"-" * 1000, announced=1000) == b"-" * 1000
    for pieces, announced in (((b"-" * 600,) * 2, None), ((), 1001)):
        with pytest.raises(LimitExceeded) as refused:
            kept(*pieces, announced=announced)
        assert (refused.value.limit, refused.value.maximum) == ("max_manifest_bytes", 1000)
