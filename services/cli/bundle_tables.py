"""Bundles and how good they are, for people."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.terminal import plain
from services.training.card_tables import TextTable, tables, with_interval
from shared.memorability.catalogue import DIGITS, BundleFacts


def bundles_table(bundles: Iterable[BundleFacts], used: str) -> Table:
    """A row for each bundle: name, digest, what it predicts, its Spearman correlation with people's ratings.

    `used` is the digest of the one that new jobs are scored with.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("bundle", no_wrap=True)
    table.add_column("digest", no_wrap=True)
    table.add_column("predicts", min_width=40)
    table.add_column("Spearman (95 %)", no_wrap=True)
    table.add_column("people agree", no_wrap=True)
    table.add_column("", no_wrap=True)
    for bundle in bundles:
        spearman, agreement = _figures(bundle.card)
        table.add_row(
            Text(plain(bundle.name)),
            bundle.digest[:DIGITS],
            Text(plain(str(bundle.card.get("target", "not known")))),
            spearman,
            agreement,
            "in use" if bundle.digest == used else "",
        )
    return table


def _figures(card: dict[str, Any]) -> tuple[str, str]:
    """Spearman correlation and human ceiling, as far as this card, which may be anybody's, says them in numbers."""
    try:
        results = card.get("results", {})
        spearman, ceiling = results.get("quality", {}).get("spearman"), results.get("human_ceiling")
        return (
            with_interval(spearman) if spearman else "not known",
            f"{ceiling['spearman_brown']:.2f}" if ceiling else "not known",
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return "not known", "not known"


def quality_view(bundle: BundleFacts, results: dict[str, Any]) -> Group:
    """A row for each measure of a bundle's `results`, laid out as in its card."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure")
    table.add_column("value (95 %)", no_wrap=True)
    for name, measured in results["quality"].items():
        table.add_row(_text(name.replace("_", " ").capitalize()), with_interval(measured))
    for row in chain(_repeats(results), _choice(results), _ceiling(results), _seed_protocol(results), _judged(results)):
        table.add_row(*map(_text, row))
    table.add_row("Ratings within the stated uncertainty", f"{results['interval']['measured_coverage']:.1%}")
    title = _text(f"Bundle {bundle.name} {bundle.digest[:DIGITS]}, on faces held out of its training")
    return Group(title, table, *(_laid_out(found) for found in tables(results)))


def _repeats(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "repeats" in results:
        yield "Spearman of each repeat", ", ".join(f"{value:.3f}" for value in results["repeats"])


def _ceiling(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    ceiling = results["human_ceiling"]
    if ceiling:
        source = f" ({ceiling['source']})" if "source" in ceiling else ""
        yield f"Spearman of one half of the raters with the other{source}", f"{ceiling['split_half_spearman']:.3f}"
        yield "Spearman of all raters with as many others", f"{ceiling['spearman_brown']:.3f}"
        yield "The most that can be expected against the mean of all raters", f"{ceiling['noise_ceiling']:.3f}"


def _choice(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = results.get("choice_within_folds")
    if found:
        yield "Spearman if what rivals it is chosen inside the folds", with_interval(found["spearman"])


def _seed_protocol(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = results.get("seed_protocol")
    if found:
        yield f"Spearman by the seed's protocol, on {found['faces']} faces", with_interval(found["spearman"])
        yield found["published"].capitalize(), f"{found['published_spearman']:.3f}"


def _judged(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    found = results.get("judged_memorability")
    if found:
        yield "Judged memorability: Spearman of two halves of the raters", f"{found['split_half_spearman']:.3f}"
        yield "Judged memorability and the target", with_interval(found["spearman_with_target"])
        yield "Judged memorability and the score", with_interval(found["spearman_with_score"])


def _laid_out(found: TextTable) -> Table:
    table = Table(title=_text(found.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for head, is_number in zip(found.heads, found.numeric, strict=True):
        table.add_column(_text(head), justify="right" if is_number else "left")
    for row in found.rows:
        table.add_row(*map(_text, row))
    return table


def _text(shown: str) -> Text:
    """A card's words as they are: neither the terminal nor Rich finds a command in them."""
    return Text(plain(shown))
