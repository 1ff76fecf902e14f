"""A file of JSON lines that grows while its process may die at any moment."""

import json
import os
from pathlib import Path
from typing import Any


class KeptLines:
    """Lines are added one by one and are on the disk when `add` returns; one that was cut off is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, key: str) -> dict[str, dict[str, Any]]:
        """The lines by what each has under `key`; of several, the last."""
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return {}
        found = {}
        for line in lines:
            try:
                content = json.loads(line)
                found[content[key]] = content
            except (ValueError, KeyError, TypeError):
                """Cut off by a crash, or the empty end of the file."""
        return found

    def add(self, line: dict[str, Any]) -> None:
        """Append a line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # The newline comes first as well: should the last line have been cut off, this one is whole.
            file.write(b"\n" + json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
