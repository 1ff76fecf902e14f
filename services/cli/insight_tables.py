"""Insights for people."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.api.schemas.insights import Association, Insights
from services.cli.terminal import plain


def insights_view(found: Insights) -> Group:
    """What goes with high scores, what with low ones, what cannot be told; and how to read it."""
    parts: list[RenderableType] = [Text(_summary(found))]
    parts += [Text(plain(warning), "yellow") for warning in found.warnings]
    if found.high:
        parts += [Text("\nThese go with high scores", "bold"), _table(found.high, "red")]
    if found.low:
        parts += [Text("\nThese go with low scores", "bold"), _table(found.low, "blue")]
    if found.others:
        parts += [Text("\nThese cannot be told from chance", "bold"), _table(found.others, "dim")]
    if found.compared:
        clear = len(found.high) + len(found.low)
        parts.append(Text(f"{clear:,} of {found.compared:,} words and attributes differ by more than chance.", "dim"))
    parts += [Text(plain(note), "dim") for note in found.notes]
    return Group(*parts)


def _summary(found: Insights) -> str:
    size = f"Job {found.job}: {found.faces.used:,} scored faces of {found.faces.photographs:,} photographs"
    if found.scores is None:
        return size
    lower, median, upper = found.scores.quartiles
    return f"{size}\nMean score {found.scores.mean:.2f}, median {median:.2f}, half between {lower:.2f} and {upper:.2f}"


def _table(associations: Sequence[Association], colour: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("words", max_width=48)
    for heading in ("faces with", "without", "difference", "95 % interval", "adds to the logit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in associations:
        table.add_row(
            Text(plain(", ".join(each.terms))),
            f"{each.faces_with:,}",
            f"{each.faces_without:,}",
            Text(f"{each.difference:+.3f}", colour),
            f"{each.low:+.3f} to {each.high:+.3f}",
            "" if each.contribution is None else f"{each.contribution:+.3f}",
        )
    return table
