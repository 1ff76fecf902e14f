"""What would become of a submission, for people."""

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.api.schemas import Preview
from services.cli.durations import span
from services.cli.terminal import plain
from shared.wording import counted


def preview_view(found: Preview) -> Group:
    """How many images would be worked on, which would not and why, and how long it would take."""
    known = found.estimate_seconds is not None
    takes = (
        f" It would take {span(found.estimate_seconds or 0)}." if known else " Nobody can say yet how long it takes."
    )
    parts: list[RenderableType] = [
        Text(f"{found.accepted:,} of {found.images:,} images would be worked on.{takes}"),
        Text(f"{counted(found.duplicates, 'duplicate')} within the set; {found.already_scored:,} scored before."),
    ]
    if found.rejected.images:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in found.rejected.by_reason.items())
        parts += [Text(f"{found.rejected.images:,} would fail: {reasons}", "yellow"), _rejections(found)]
    return Group(*parts, Text("Nothing was kept.", "dim"))


def _rejections(found: Preview) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("position", "line"):
        table.add_column(heading, justify="right")
    for heading in ("name", "reason", "detail"):
        table.add_column(heading)
    for each in found.rejected.first:
        line = "" if each.line is None else str(each.line)
        table.add_row(str(each.position), line, Text(plain(each.name)), each.reason, Text(plain(each.detail)))
    return table
