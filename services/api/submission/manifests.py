"""Manifests: files that list images, as JSON, JSON lines or CSV. They are read while their images are copied."""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from services.api.problems import LimitExceeded
from services.api.submission.lines import MAX_LINE_BYTES, SHOWN_BYTES, TOO_LONG, Broken, Reader, broken, parsed
from services.api.submission.refusals import InvalidManifest, check_number
from shared.jobs.accept import NewImage
from shared.settings import Settings

BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
# Columns of a CSV that are more than metadata.
COLUMNS = ("url", "custom_id", "name")


@dataclass(frozen=True)
class Manifest:
    """A manifest as it arrived."""

    file: IO[bytes]
    size: int
    digest: bytes


def keep(pieces: Iterable[bytes], announced: int | None, settings: Settings) -> Manifest:
    """Keep a manifest in a file without a name. Raises LimitExceeded, before reading it where its length is known."""
    most = settings.max_manifest_bytes
    too_long = LimitExceeded(
        f"A manifest may have {most:,} bytes; split it into several jobs.", limit="max_manifest_bytes", maximum=most
    )
    if announced is not None and announced > most:
        raise too_long
    file = TemporaryFile()  # noqa: SIM115 - whoever takes the manifest closes it
    try:
        size, digest = 0, hashlib.sha256()
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise too_long
            digest.update(piece)
            file.write(piece)
        _begin(file)
    except BaseException:
        file.close()
        raise
    return Manifest(file, size, digest.digest())


def _begin(file: IO[bytes]) -> None:
    """To the first sign. Raises InvalidManifest for what is seen at once not to be UTF-8."""
    file.seek(0)
    first = file.read(4)
    if first.startswith(_OTHER_BOMS) or b"\0" in first:
        raise InvalidManifest("The manifest is not UTF-8. Save it in this encoding, and send it again.")
    file.seek(len(BOM) if first.startswith(BOM) else 0)


def numbered(images: Iterable[NewImage], settings: Settings) -> Iterator[NewImage]:
    """The same images. Raises LimitExceeded when they are too many."""
    for number, image in enumerate(images, 1):
        check_number(number, settings)
        yield image


def json_lines(file: IO[bytes], image: Reader) -> Iterator[NewImage]:
    """An image for each line that is not blank. Raises InvalidManifest at the end if none of them was a JSON object."""
    lines = objects = 0
    for number, sent, whole in _lines(file):
        raw = sent.strip()
        if not raw:
            continue
        said: Any = parsed(raw) if whole else broken(raw, TOO_LONG)
        lines += 1
        objects += isinstance(said, dict)
        yield image(said, number)
    if lines and not objects:
        raise InvalidManifest('No line of the manifest is a JSON object such as {"url": "https://…"}.')


def table(file: IO[bytes], image: Reader) -> Iterator[NewImage]:
    """An image for each row of a CSV that is not blank. Columns beside ours become metadata, as text."""
    lines = _Lines(file)
    rows = csv.reader(lines)
    columns = _columns(rows)
    if lines.cut:
        raise InvalidManifest(f"The first line has more than {MAX_LINE_BYTES:,} bytes.")
    while True:
        lines.begin = lines.number + 1
        lines.cut = False
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield image(Broken("", f"It is not CSV: {error}."), lines.begin)
            continue
        if row is None:
            return
        if lines.cut:
            yield image(Broken(",".join(row), TOO_LONG), lines.begin)
        elif row:
            yield image(_said(columns, row), lines.begin)


def _columns(rows: Iterator[list[str]]) -> list[str]:
    try:
        columns = [column.strip() for column in next(rows, [])]
    except csv.Error as error:
        raise InvalidManifest(f"The manifest is no CSV: {error}.") from error
    if "url" not in columns:
        raise InvalidManifest("The first line of a CSV must name the columns, with commas between, among them 'url'.")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise InvalidManifest(f"The column {twice!a} is there twice.")
    return columns


def _said(columns: list[str], row: list[str]) -> Any:
    if len(row) != len(columns):
        return Broken(",".join(row), f"It has {len(row):,} fields, the first line has {len(columns):,}.")
    cells = {column: cell for column, cell in zip(columns, row, strict=True) if cell}
    said: dict[str, Any] = {column: cells.pop(column) for column in COLUMNS if column in cells}
    return said | {"metadata": cells} if cells else said


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Each line with its number, from 1, and whether that is all of it: of one that is too long no more is kept."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 2):
        number += 1
        whole = len(raw.rstrip(b"\r\n")) <= MAX_LINE_BYTES
        last = raw
        while not last.endswith(b"\n") and (last := file.readline(MAX_LINE_BYTES)):
            whole = False
        yield number, raw, whole


class _Lines:
    """The lines of a CSV as its reader wants them. Signs that are not UTF-8 become ones that no line may have."""

    def __init__(self, file: IO[bytes]) -> None:
        self._lines = _lines(file)
        self.number = 0
        self.begin = 1
        self.cut = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self.number, raw, whole = next(self._lines)
        if not whole:
            self.cut = True
            raw = raw[:SHOWN_BYTES].replace(b'"', b"'")
        return raw.decode("utf-8", "surrogateescape")
