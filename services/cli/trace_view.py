"""The way of one image, for people and for programs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.api.schemas.trace import ImageTrace, TraceStep
from services.cli.log_lines import LogLine
from services.cli.terminal import moment, plain

DATABASE = "database"
LEVELS = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
# What the heading says, or the column of the process.
KNOWN = frozenset({"image", "job", "stage", "attempt", "batch"})


def as_object(found: ImageTrace | None, lines: Sequence[LogLine]) -> str:
    """Both parts as one JSON object; `trace` is null where nobody could be asked."""
    log = [
        {"at": line.at.isoformat(), "process": line.process, "level": line.level, "event": line.event, **line.fields}
        for line in lines
    ]
    return json.dumps({"trace": found and found.model_dump(mode="json"), "log": log}, ensure_ascii=False)


def trace_view(found: ImageTrace | None, lines: Sequence[LogLine]) -> Group:
    """Where it is now, and a row for everything that happened, in the order of time."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("time", no_wrap=True)
    table.add_column("process", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    steps = map(_step, found.steps) if found else ()
    for at, process, stage, happened in sorted([*steps, *map(_line, lines)], key=lambda row: row[0]):
        shown = at.astimezone()
        table.add_row(f"{shown:%Y-%m-%d %H:%M:%S}.{shown.microsecond // 1000:03d}", process, stage, happened)
    told: list[Text | Table] = [Text(plain(each)) for each in (_heading(found) if found else ())]
    if not lines:
        told.append(Text("No line of a log was looked at or is about it: name some with --logs.", "dim"))
    return Group(*told, table)


def _heading(found: ImageTrace) -> list[str]:
    image = found.image
    about = [f"Image {image.id}, {image.image}, number {image.position + 1} of job {found.job} ({found.job_state})."]
    state = f"{image.state} at {image.stage}, attempt {found.attempt}"
    why = f": {image.reason}. {image.detail or ''}".rstrip() if image.reason else ""
    waits = f" Not before {moment(found.not_before)}." if found.not_before and image.state == "ready" else ""
    about.append(f"Now: {state}{why}{waits}")
    for face in image.faces:
        score = "no score yet" if face.score is None else f"{face.score:.2f} ± {face.uncertainty or 0:.2f}"
        by = f", captioned by {face.captioner.get('name')}" if face.captioner else ""
        about.append(f"Face {face.face} (id {face.id}): {score}{by}.")
    if image.reused:
        about.append("Its faces were taken over from the same image.")
    return about


Row = tuple[datetime, str, str, Text]


def _step(step: TraceStep) -> Row:
    said = {"attempt": step.attempt, "reason": step.reason, "detail": step.detail}
    return step.at, DATABASE, str(step.stage or ""), _happened(step.event, said, "bold")


def _line(line: LogLine) -> Row:
    fields = {name: value for name, value in line.fields.items() if name not in KNOWN or name == "attempt"}
    style = LEVELS.get(line.level, "")
    return line.at, plain(line.process), plain(str(line.fields.get("stage", ""))), _happened(line.event, fields, style)


def _happened(event: str, fields: dict[str, Any], style: str) -> Text:
    shown = Text(plain(event), style)
    for name, value in fields.items():
        if name == "images" and isinstance(value, list):
            if len(value) > 1:
                shown.append(f"  with {len(value) - 1} others", "dim")
        elif value is not None:
            shown.append(f"  {plain(name)}=", "dim").append(plain(str(value)), "not bold")
    return shown
