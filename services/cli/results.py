"""`facemem results`: what came out of a job."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from uuid import UUID

import rich_click as click

from services.cli import options
from shared.jobs.states import ImageState

if TYPE_CHECKING:
    from services.cli.selection import Selection
    from services.client import Facemem


@click.command()
@options.job
@click.option("--json", "form", flag_value="jsonl", help="One JSON object on each line, as `facemem score --json`.")
@click.option("--csv", "form", flag_value="csv", help="A table for spreadsheets.")
@click.option("--xlsx", "form", flag_value="xlsx", help="The same as an Excel file; name it with --output.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="The N faces with the highest scores, ranked.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Only faces with at least this score, ranked.")
@click.option("--max-score", type=click.FloatRange(0, 1), help="Only faces with at most this score, ranked.")
@click.option("--flag", "flags", metavar="FLAG", multiple=True, help="Only faces with this flag, ranked; repeat it.")
@click.option("--without-flags", is_flag=True, help="Only faces without any flag, ranked.")
@click.option(
    "--state",
    "states",
    type=click.Choice(list(map(str, ImageState))),
    multiple=True,
    help="Only images in this state.",
)
@click.option("--reason", "reasons", metavar="CODE", multiple=True, help="Only images with this reason; repeat it.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file and not to the screen.",
)
@options.service
def results(
    job: UUID,
    form: str | None,
    top: int | None,
    min_score: float | None,
    max_score: float | None,
    flags: tuple[str, ...],
    without_flags: bool,
    states: tuple[str, ...],
    reasons: tuple[str, ...],
    output: Path | None,
    service: options.Service,
) -> None:
    """Show the scores of a job, also while it runs: image by image, or the faces by their scores.

    \b
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --top 10 --without-flags
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --state failed
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --xlsx --output scores.xlsx
    """
    from services.cli import terminal
    from services.cli.connection import connected
    from services.cli.selection import Selection
    from shared.jobs.states import OPEN

    chosen = Selection(job, top, min_score, max_score, flags, without_flags, states, reasons)
    if form == "xlsx" and output is None:
        raise click.UsageError("An Excel file is nothing for a screen; name it with --output.")
    if form in ("csv", "xlsx") and not chosen.everything:
        raise click.UsageError("A table for spreadsheets has all images; they can be sorted and filtered there.")
    with connected(service) as facemem:
        if facemem.job(job).state in OPEN:
            terminal.notes().print("The job still runs; this is what there is by now.")
        _write(facemem, chosen, form, output)


def _write(facemem: "Facemem", chosen: "Selection", form: str | None, output: Path | None) -> None:
    from services.cli import terminal

    if form in ("jsonl", "csv", "xlsx") and chosen.everything:
        facemem.export(chosen.job, form, output or sys.stdout.buffer)  # type: ignore[arg-type]
        return
    with _opened(output) as file:
        if form is not None:
            file.writelines(f"{item.model_dump_json()}\n" for item in chosen.items(facemem))
        else:
            terminal.results(file).print(chosen.table(facemem))


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
