"""The outcomes of all checks, for people."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.doctor.check import Outcome

MARKS = {"ok": ("ok", "green"), "optional": ("optional", "yellow"), "problem": ("PROBLEM", "bold red")}


def outcomes_view(outcomes: Sequence[Outcome]) -> Group:
    """A row for each check, below what was found why it matters and what to do; and what that comes to."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found")
    for outcome in outcomes:
        found = Text(outcome.found)
        if outcome.why:
            found.append(f"\n{outcome.why}", "dim")
        if outcome.remedy:
            found.append(f"\n{outcome.remedy}", "dim" if outcome.verdict == "optional" else "bold")
        table.add_row(outcome.name, Text(*MARKS[outcome.verdict]), found)
    problems = sum(outcome.verdict == "problem" for outcome in outcomes)
    told = f"{problems} to be put right before facemem can work." if problems else "facemem can work."
    return Group(table, Text(told))
