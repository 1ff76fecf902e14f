"""Two sets compared, for people."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.api.schemas.compare import Comparison, SetSummary
from services.cli.terminal import plain


def comparison_view(found: Comparison) -> Group:
    """The sentence, a row for each set, the figures and what to mind."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("set")
    for heading in ("photographs", "faces", "mean score", "deviation"):
        table.add_column(heading, justify="right")
    for side in (found.a, found.b):
        table.add_row(
            Text(_name(side)),
            f"{side.photographs:,}",
            f"{side.faces:,}",
            f"{side.mean:.3f}",
            f"{side.deviation:.3f}",
        )
    difference, higher = found.difference, found.higher
    return Group(
        Text(plain(found.summary), "bold"),
        table,
        Text(f"Difference of the means {difference.value:+.3f} (95 % {difference.low:+.3f} to {difference.high:+.3f})"),
        Text(
            f"A photograph of the first scores higher than one of the second with probability {higher.value:.2f} "
            f"(95 % {higher.low:.2f} to {higher.high:.2f})"
        ),
        *(Text(plain(note), "dim") for note in found.notes),
    )


def _name(side: SetSummary) -> str:
    return plain(side.label) if side.label is not None else str(side.job)
