"""Bundles and how good they are, for people."""

from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from shared.memorability.catalogue import BundleFacts

DIGITS = 12  # of a digest: enough to tell bundles apart


def bundles_table(bundles: Iterable[BundleFacts]) -> Table:
    """A row for each bundle: name, digest, what it predicts, its Spearman correlation with people's ratings."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("bundle", no_wrap=True)
    table.add_column("digest", no_wrap=True)
    table.add_column("predicts", min_width=40)
    table.add_column("Spearman (95 %)", no_wrap=True)
    table.add_column("people agree", no_wrap=True)
    for bundle in bundles:
        results = bundle.card["results"]
        ceiling = results["human_ceiling"]
        table.add_row(
            bundle.name,
            bundle.digest[:DIGITS],
            bundle.card["target"],
            _with_interval(results["quality"]["spearman"]),
            f"{ceiling['spearman_brown']:.2f}" if ceiling else "not known",
        )
    return table


def quality_view(bundle: BundleFacts, results: dict[str, Any]) -> Group:
    """A row for each measure of a bundle's `results`, laid out as in its card."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure")
    table.add_column("value (95 %)", no_wrap=True)
    for name, measured in results["quality"].items():
        table.add_row(name.replace("_", " ").capitalize(), _with_interval(measured))
    if results["human_ceiling"]:
        half, full = (results["human_ceiling"][name] for name in ("split_half_spearman", "spearman_brown"))
        table.add_row("Spearman of one half of the raters with the other", f"{half:.2f}")
        table.add_row("Spearman of all raters with as many others", f"{full:.2f}")
    table.add_row("Ratings within the stated uncertainty", f"{results['interval']['measured_coverage']:.0%}")
    return Group(Text(f"Bundle {bundle.name} {bundle.digest[:DIGITS]}, on faces held out of its training"), table)


def _with_interval(measured: dict[str, Any]) -> str:
    low, high = measured["interval_95"]
    return f"{measured['value']:.2f} ({low:.2f} to {high:.2f})"
