"""The outcomes of all checks, for people."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from services.cli.doctor.check import Outcome

MARKS = {"ok": ("ok", "green"), "optional": ("optional", "yellow"), "problem": ("PROBLEM", "bold red")}


def outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    """A row for each check; the remedy below what was found."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found")
    for outcome in outcomes:
        found = Text(outcome.found)
        if outcome.remedy:
            found.append(f"\n{outcome.remedy}", "dim" if outcome.verdict == "optional" else "bold")
        table.add_row(outcome.name, Text(*MARKS[outcome.verdict]), found)
    problems = sum(outcome.verdict == "problem" for outcome in outcomes)
    table.caption = f"{problems} to be put right" if problems else "facemem can work"
    table.caption_justify = "left"
    return table
