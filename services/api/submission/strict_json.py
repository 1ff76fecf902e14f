"""JSON as its specification has it, and no more: what readers of JSON disagree about is refused."""

import json
from typing import Any


def loads(text: str | bytes) -> Any:
    """The value that a JSON text stands for. Raises ValueError for anything else.

    That is also a name that an object has twice, NaN and infinity, text that is not UTF-8, and nesting without end.
    """
    if isinstance(text, bytes):
        # json.loads guesses other encodings.
        text = text.decode()
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("It is nested too deeply.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in made if names.count(name) > 1)
        raise ValueError(f"{twice!a} is there twice.")
    return made


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON.")
