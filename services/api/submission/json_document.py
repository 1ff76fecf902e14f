"""A manifest that is one JSON document, {"images": [...]} and options, read in one pass with bounded memory.

Only the document's frame is read here, and where the values in it end. Each value is then read by itself, so that one
that is damaged costs no more than the image that it stands for.
"""

import re
from collections.abc import Iterator
from typing import IO, Any

from services.api.submission import strict_json
from services.api.submission.lines import MAX_LINE_BYTES, TOO_LONG, Reader, broken, parsed
from services.api.submission.refusals import InvalidManifest
from shared.jobs.accept import NewImage

READ_BYTES = 256 * 1024
IMAGES = "images"
# Of the document; there are fewer, and the rest is for the answer that names the unknown ones.
MAX_MEMBERS = 64
_SPACE = re.compile(rb"[ \t\r\n]*")
# A whole string, a bracket, or a quote alone: a string whose end has not been read yet.
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_WORD = re.compile(rb'[^ \t\r\n,:"{}\[\]]*')
_SKIPPED = re.compile(rb'\\.|["{}\[\]]', re.DOTALL)


def images(file: IO[bytes], image: Reader, options: dict[str, Any]) -> Iterator[NewImage]:
    """The images of a document. Its other members are in `options` when this has come to its end.

    Raises InvalidManifest if it is no JSON, or not of this form.
    """
    text = _Text(file)
    found = False
    if text.next() != b"{":
        raise InvalidManifest('The document must be a JSON object, {"images": [...]} and options.')
    text.take(b"{")
    for name in _names(text):
        if name in options or (found and name == IMAGES):
            raise InvalidManifest(f"The member {name!a} is there twice.")
        if name == IMAGES:
            found = True
            yield from _items(text, image)
            continue
        options[name] = _option(name, text.value())
        if len(options) > MAX_MEMBERS:
            raise InvalidManifest(f"The document has more than {MAX_MEMBERS} members.")
    if text.next():
        raise InvalidManifest("Something follows the JSON document.")
    if not found:
        raise InvalidManifest("The document has no member 'images', which must be a list.")


def _names(text: "_Text") -> Iterator[str]:
    """The names of the document's members; their values are to be taken in between."""
    if text.next() == b"}":
        text.take(b"}")
        return
    while True:
        raw = text.value() if text.next() == b'"' else None
        if raw is None:
            raise InvalidManifest("The document is no JSON: a member has no name.")
        name = _option("", raw)
        text.take(b":")
        yield name
        if text.take(b",", b"}") == b"}":
            return


def _items(text: "_Text", image: Reader) -> Iterator[NewImage]:
    if text.next() != b"[":
        raise InvalidManifest("The member 'images' must be a list.")
    text.take(b"[")
    if text.next() == b"]":
        text.take(b"]")
        return
    while True:
        begin = text.beginning()
        raw = text.value()
        yield image(broken(begin, TOO_LONG) if raw is None else parsed(raw), None)
        if text.take(b",", b"]") == b"]":
            return


def _option(name: str, raw: bytes | None) -> Any:
    if raw is None:
        raise InvalidManifest(f"The member {name!a} has more than {MAX_LINE_BYTES:,} bytes.")
    try:
        return strict_json.loads(raw)
    except ValueError as error:
        raise InvalidManifest(f"The document is no JSON: {error}") from error


class _Text:
    """The text of a document, of which little more than one value is in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._kept = b""
        self._at = 0

    def next(self) -> bytes:
        """The next sign that is no space; nothing at the end."""
        while True:
            self._at = _match_end(_SPACE, self._kept, self._at)
            if self._at < len(self._kept):
                return self._kept[self._at : self._at + 1]
            if not self._more():
                return b""

    def take(self, *signs: bytes) -> bytes:
        """The next sign, which must be one of these. Raises InvalidManifest."""
        sign = self.next()
        if sign not in signs:
            wanted = " or ".join(each.decode() for each in signs)
            there = f"{sign.decode('latin-1')!a}" if sign else "its end"
            raise InvalidManifest(f"The document is no JSON: {there} is where {wanted} should be.")
        self._at += 1
        return sign

    def beginning(self) -> bytes:
        """How the next value begins, for people."""
        self.next()
        return self._kept[self._at : self._at + 200]

    def value(self) -> bytes | None:
        """The next value as it stands there, or None for one that is too long. Raises InvalidManifest."""
        if self.next() in (b"", b",", b":", b"}", b"]"):
            raise InvalidManifest("The document is no JSON: a value is missing, or it is cut off.")
        while (end := self._end()) is None:
            if len(self._kept) - self._at > MAX_LINE_BYTES:
                self._skip()
                return None
            if not self._more():
                raise InvalidManifest("The document is cut off.")
        raw = self._kept[self._at : end]
        self._at = end
        return raw if len(raw) <= MAX_LINE_BYTES else None

    def _more(self) -> bool:
        read = self._file.read(READ_BYTES)
        self._kept = self._kept[self._at :] + read
        self._at = 0
        return bool(read)

    def _end(self) -> int | None:
        """Where the value that begins here ends; None if that has not been read yet."""
        if self._kept[self._at] not in b'"{[':
            end = _match_end(_WORD, self._kept, self._at)
            return end if end < len(self._kept) else None
        depth = 0
        for mark in _MARK.finditer(self._kept, self._at):
            sign = mark[0]
            if sign == b'"':
                return None
            if sign in (b"{", b"["):
                depth += 1
            elif sign in (b"}", b"]"):
                depth -= 1
            if depth == 0:
                return mark.end()
        return None

    def _skip(self) -> None:
        """Pass over a value that is too long. Raises InvalidManifest."""
        if self._kept[self._at] not in b'"{[':
            raise InvalidManifest("The document is no JSON: a number or word in it has no end.")
        depth, inside = 0, False
        while True:
            for mark in _SKIPPED.finditer(self._kept, self._at):
                sign = mark[0]
                if sign == b'"':
                    inside = not inside
                elif not inside and sign in (b"{", b"["):
                    depth += 1
                elif not inside and sign in (b"}", b"]"):
                    depth -= 1
                if depth == 0 and not inside:
                    self._at = mark.end()
                    return
                self._at = mark.end()
            # A backslash at the end belongs to what has not been read yet.
            cut = self._kept.endswith(b"\\") and self._at < len(self._kept)
            self._at = len(self._kept) - cut
            if not self._more():
                raise InvalidManifest("The document is cut off.")


def _match_end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
