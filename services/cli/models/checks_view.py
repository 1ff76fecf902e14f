"""The checks of a bundle, for people."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from services.cli.terminal import plain
from shared.memorability.verification import Check


def checks_view(checks: Iterable[Check]) -> Table:
    """A row for each check: whether it passed, what was checked, what was found."""
    table = Table.grid(padding=(0, 2))
    for check in checks:
        verdict = Text("ok", "green") if check.passed else Text("WRONG", "bold red")
        table.add_row(verdict, Text(plain(check.name)), Text(plain(check.found), overflow="fold"))
    return table
