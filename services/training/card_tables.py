"""The results of a card that are tables, as text: the same for the card's page and for the command line. No torch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

# Lists of rows among the results, in the order in which they are shown; those that a card lacks are left out.
TITLES = {"group_gaps": "Groups", "calibration": "Calibration", "ablations": "Ablations"}


class TextTable(NamedTuple):
    """A table to print. `numeric` says which columns are numbers."""

    title: str
    heads: list[str]
    numeric: list[bool]
    rows: list[list[str]]


def tables(results: dict[str, Any]) -> Iterator[TextTable]:
    """The tables among a card's results; each is a list of rows, which all have the first one's keys."""
    for part, title in TITLES.items():
        rows = results.get(part)
        if rows:
            heads = [name.replace("_", " ").replace("spearman", "Spearman") for name in rows[0]]
            numeric = [not any(isinstance(row[name], str) for row in rows) for name in rows[0]]
            yield TextTable(title, heads, numeric, [[_cell(name, row[name]) for name in rows[0]] for row in rows])


def with_interval(measured: dict[str, Any]) -> str:
    """A figure and its 95 % interval."""
    low, high = measured["interval_95"]
    return f"{measured['value']:.3f} ({low:.3f} to {high:.3f})"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return with_interval(value)
    if isinstance(value, float):
        return f"{value:+.3f}" if "_less_" in name else f"{value:.3f}"
    return str(value)
