"""One line of a manifest becomes one image. A line that cannot be read is an image that failed; the others go on."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from services.api.schemas import Link
from services.api.submission import strict_json
from services.api.submission.storing import plain
from shared.errors import FetchRefused, PermanentError
from shared.jobs.accept import NewImage
from shared.jobs.uploads import SCHEME

# Longer than any line that fits: metadata in the longest way of writing them, and a link.
MAX_LINE_BYTES = 256 * 1024
# How much of a line that cannot be taken apart becomes the name of its image.
SHOWN_BYTES = 1000
TOO_LONG = f"The line has more than {MAX_LINE_BYTES:,} bytes."
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://\S")


class InvalidLine(PermanentError):
    """The line of the manifest cannot be read.

    Correct it and submit it again, in a manifest of its own.
    """

    code = "invalid_line"


# Makes an image of what a line says, in which place of the manifest. See `reader`.
Reader = Callable[[Any, int | None], NewImage]


def reader(*, private: bool) -> Reader:
    """What makes images of lines; with `private`, http is a scheme that we take."""
    schemes = frozenset({"https", "http"} if private else {"https"})

    def image(said: Any, line: int | None) -> NewImage:
        if isinstance(said, Broken):
            return rejected(said.text, InvalidLine(said.why), line)
        try:
            link = Link.model_validate(said)
            source = _source(link.url, schemes)
        except ValidationError as error:
            return rejected(said, InvalidLine(_told(error)), line)
        except PermanentError as error:
            return rejected(said, error, line)
        return NewImage(
            link.name or link.url,
            source_url=source,
            client_metadata=link.metadata,
            custom_id=link.custom_id,
            line=line,
        )

    return image


class Broken:
    """A line that could not even be taken apart: how it begins, and why."""

    def __init__(self, text: str, why: str) -> None:
        self.text = text
        self.why = why


def parsed(raw: bytes) -> Any:
    """What a line in JSON says, to be made an image of; a Broken one if it is no JSON."""
    try:
        return strict_json.loads(raw)
    except ValueError as error:
        what = "It is not UTF-8." if isinstance(error, UnicodeDecodeError) else f"It is not JSON: {error}"
        return broken(raw, what)


def broken(raw: bytes, why: str) -> Broken:
    """A line of which no more is known than how it begins."""
    return Broken(raw[:SHOWN_BYTES].decode("utf-8", "replace"), why)


def rejected(said: Any, error: PermanentError, line: int | None) -> NewImage:
    """An image that failed before anything was done, with what can be told of it."""
    known = said if isinstance(said, dict) else {}
    texts = [known.get("name"), known.get("url"), said if isinstance(said, str) else _text(said)]
    name = next((plain(text) for text in texts if isinstance(text, str) and text), "unnamed")
    custom = known.get("custom_id")
    return NewImage(
        name or "unnamed",
        custom_id=plain(custom) or None if isinstance(custom, str) else None,
        rejected=error,
        line=line,
    )


def _text(said: Any) -> str:
    try:
        return json.dumps(said, ensure_ascii=False)
    except RecursionError:  # what could just be read may be too deep to be written
        return ""


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return plain("; ".join(f"{'.'.join(map(str, each['loc'])) or 'line'}: {each['msg']}" for each in found))


def _source(url: str, schemes: frozenset[str]) -> str:
    """The link as intake takes it. Raises InvalidLine, or FetchRefused for a scheme that we do not take."""
    if url[: len(SCHEME)].lower() == SCHEME:
        try:
            return f"{SCHEME}{UUID(url[len(SCHEME) :])}"
        except ValueError as error:
            raise InvalidLine("url: an upload is upload:ID, as its announcement was answered.") from error
    scheme = _ADDRESS.match(url)
    if scheme is None:
        raise InvalidLine("url: must be https://…, s3://bucket/key or upload:ID.")
    if (named := scheme[1].lower()) == "s3":
        bucket, _, key = url[5:].partition("/")
        if not _BUCKET.fullmatch(bucket) or not key:
            raise InvalidLine("url: an object is s3://bucket/key.")
        return f"s3://{bucket}/{key}"
    if named not in schemes:
        raise FetchRefused(f"Links must be https://, s3:// or upload:, not {named[:32]}://.")
    return url
