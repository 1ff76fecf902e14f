"""How an export ends: with its last record, or with a word that it was broken off.

A long answer has begun before anything can break, so its status cannot say so any more; its last line does.
"""

import csv
import json

from services.client.errors import ApiError

# More than the longest last line that tells of an error.
TAIL_BYTES = 65_536
BROKEN_OFF = "error"  # what such a row of a CSV has in the column `state`


class Ending:
    """The last bytes of what has come so far."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._tail = b""

    def add(self, chunk: bytes) -> None:
        """Called with each part of the answer."""
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def check(self, status: int) -> None:
        """Raises ApiError if the export was broken off."""
        lines = self._tail.decode("utf-8", "replace").splitlines()
        found = None
        if lines and self._form == "jsonl":
            found = _told_by_json(lines[-1])
        elif lines and self._form == "csv":
            found = _told_by_row(lines[-1])
        if found is not None:
            raise ApiError(*found, status)


def _told_by_json(line: str) -> tuple[str, str] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    error = record.get("error") if isinstance(record, dict) and len(record) == 1 else None
    return (str(error["code"]), str(error["detail"])) if isinstance(error, dict) else None


def _told_by_row(line: str) -> tuple[str, str] | None:
    image, state, reason, *_ = [*next(csv.reader([line])), "", "", ""]
    return (reason, image) if state == BROKEN_OFF else None
