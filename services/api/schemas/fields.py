"""Fields that several requests have, and what may be in them."""

import json
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
NAME_LENGTH = 200
LINK_LENGTH = 2048
# Metadata is echoed with every answer, so it has to stay small.
METADATA_BYTES = 16_384
# Deeper nesting means nothing to anybody, and would meet the limits of those who write and read JSON.
METADATA_DEPTH = 32

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _storable(text: str) -> str:
    """Postgres stores any Unicode text, but neither NUL nor half of a surrogate pair."""
    if _UNSTORABLE.search(text):
        raise ValueError("must not contain NUL characters or unpaired surrogates")
    return text


def _small_json(metadata: dict[str, Any]) -> dict[str, Any]:
    if _deeper(metadata, METADATA_DEPTH):
        raise ValueError(f"must not be nested deeper than {METADATA_DEPTH}")
    text = _storable(json.dumps(metadata, ensure_ascii=False, allow_nan=False).replace("\\u0000", "\0"))
    if len(text.encode()) > METADATA_BYTES:
        raise ValueError(f"must not be larger than {METADATA_BYTES} bytes as JSON")
    return metadata


def _deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested deeper than that. Goes down no further than needed to know."""
    if not isinstance(value, dict | list):
        return False
    if most == 0:
        return True
    inside = value.values() if isinstance(value, dict) else value
    return any(_deeper(each, most - 1) for each in inside)


Storable = Annotated[str, AfterValidator(_storable)]


def _readable(text: str) -> str:
    """Encoders drop what is no letter, digit or other sign by itself; of nothing else a caption would have no word."""
    if all(unicodedata.category(sign)[0] in "CMZ" or sign == "\ufffd" for sign in text):
        raise ValueError("must have something that can be read: a letter, a digit or another visible sign")
    return text


Readable = Annotated[Storable, AfterValidator(_readable)]


def _written_out(moment: object) -> object:
    """Numbers and bare dates can be read as times too, and as which is anybody's guess."""
    if not isinstance(moment, str) or RFC_3339.fullmatch(moment) is None:
        raise ValueError("must be a time as in RFC 3339, such as 2026-11-24T05:00:00Z")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Name = Annotated[str, Field(max_length=NAME_LENGTH), AfterValidator(_storable)]
BundleWanted = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH), AfterValidator(_storable)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small_json)]
