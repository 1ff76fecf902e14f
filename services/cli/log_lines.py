"""Lines of logs that are about one image: text or JSON, plain or as `docker compose logs` has them.

Files may be of any size. Lines of other programs, and tracebacks below a line, are passed over.
"""

import json
import re
from ast import literal_eval
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# "detection-1  | " before each line, where several containers share a screen.
CONTAINER = re.compile(r"^([\w.-]+)\s+\| ?(.*)$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TEXT = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) \[(\w+)\s*\] (.*)$")
FIELD = re.compile(r"""(?:^|\s)(\w+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\S+)""")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# What is not told among a line's fields, because it is told beside them, or is too long for it.
APART = frozenset({"timestamp", "level", "event", "process", "exception"})


@dataclass(frozen=True)
class LogLine:
    """One line: when, of which process, and all else that it says."""

    at: datetime
    process: str
    level: str
    event: str
    fields: dict[str, Any] = field(default_factory=dict)

    def is_about(self, image: int, job: str | None) -> bool:
        """Whether it is about this image, or about its job as a whole, if that is known."""
        if "image" in self.fields:
            return bool(self.fields["image"] == image)
        if isinstance(images := self.fields.get("images"), list):
            return image in images
        return job is not None and str(self.fields.get("job")) == job


def about(image: int, job: str | None, lines: Iterable[str], source: str) -> Iterator[LogLine]:
    """Those lines that are about an image of this job. `source` names the process of lines that do not."""
    of_image = re.compile(rf"(?<!\d){image}(?!\d)")
    for line in lines:
        # Looked at before it is taken apart: of a million lines a handful is about one image.
        if (
            ((job and job in line) or of_image.search(line))
            and (read := parsed(line, source))
            and read.is_about(image, job)
        ):
            yield read


def parsed(line: str, source: str) -> LogLine | None:
    """One line of a log, or None if it is none of ours."""
    plain = COLOUR.sub("", line.rstrip("\n"))
    if found := CONTAINER.match(plain):
        source, plain = found.groups()
    said = _from_json(plain) if "{" in plain and plain.rstrip().endswith("}") else None
    said = said or _from_text(plain)
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(str(said["timestamp"]))
    except (KeyError, ValueError):
        return None
    return LogLine(
        at if at.tzinfo else at.astimezone(),
        str(said.get("process", source)),
        str(said.get("level", "")),
        str(said.get("event", "")),
        {name: value for name, value in said.items() if name not in APART},
    )


def _from_json(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _from_text(line: str) -> dict[str, Any] | None:
    found = TEXT.search(line)
    if found is None:
        return None
    timestamp, level, rest = found.groups()
    fields = list(FIELD.finditer(rest))
    event = rest[: fields[0].start()] if fields else rest
    named = {each[1]: _value(each[2]) for each in fields}
    return {**named, "timestamp": timestamp, "level": level, "event": event.strip()}


def _value(written: str) -> Any:
    if written[0] in "'\"[" or NUMBER.fullmatch(written):
        try:
            return literal_eval(written)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return written
    return written
