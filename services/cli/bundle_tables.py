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
        table.add_row("Spearman of one half of the raters with the other", f"{half:.3f}")
        table.add_row("Spearman of all raters with as many others", f"{full:.3f}")
    table.add_row("Ratings within the stated uncertainty", f"{results['interval']['measured_coverage']:.1%}")
    title = Text(f"Bundle {bundle.name} {bundle.digest[:DIGITS]}, on faces held out of its training")
    return Group(title, table, _groups(results["group_gaps"]))


def _groups(gaps: Iterable[dict[str, Any]]) -> Table:
    """A row for each third of an attribute: how well the bundle predicts it, and how far it is off on average."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("attribute", "third"):
        table.add_column(heading)
    for heading in ("faces", "Spearman", "mean rating", "mean score less mean rating"):
        table.add_column(heading, justify="right")
    for gap in gaps:
        table.add_row(
            gap["attribute"],
            gap["third"],
            str(gap["faces"]),
            f"{gap['spearman']:.3f}",
            f"{gap['mean_rating']:.3f}",
            f"{gap['mean_score_less_mean_rating']:+.3f}",
        )
    return table


def _with_interval(measured: dict[str, Any]) -> str:
    low, high = measured["interval_95"]
    return f"{measured['value']:.3f} ({low:.3f} to {high:.3f})"
