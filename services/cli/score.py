"""`facemem score`: from files to scores, in one command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from services.cli import options

if TYPE_CHECKING:
    from services.client.options import Options


@click.command()
@options.images
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object for each face on stdout, and nothing else; `face_id` is what `facemem explain` takes.",
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Also draw a contact sheet: photos, boxes, scores, heat maps, coloured captions, and sums that check.",
)
@options.job_options
@options.service
def score(
    paths: tuple[Path, ...], as_json: bool, sheet: Path | None, told: "Options", service: options.Service
) -> None:
    """Score the faces in photographs.

    PATH is a file or a folder; folders are searched with their subfolders for *.jpg, *.jpeg, *.png and *.webp.
    The facemem that runs does the work; if none does, one is started for the occasion and stopped again, which takes
    some seconds. An image without a face, or one that cannot be read, gets a line that says so.

    Ctrl-C cancels the job. Exit status: 0 when every image reached its end, 130 after Ctrl-C, 1 otherwise.

    \b
    facemem score portrait.jpg
    facemem score ~/Pictures/shoot --sheet shoot.png
    facemem score ~/Pictures/shoot --json | jq 'select(.percentile > 90) | .image'
    """
    from services.cli.connection import started_if_needed
    from services.cli.gather import gather
    from services.cli.journey import Journey, all_final
    from services.cli.progress import Display
    from services.cli.sheet import write_sheet
    from services.cli.tables import results_table
    from services.cli.terminal import notes, plain, results
    from services.client.wording import about

    files = gather(paths)
    console = notes()
    with started_if_needed(service, console) as facemem:
        with Display(console) as display:
            journey = Journey(facemem, files, display)
            journey.score(**told)
        explained = about(facemem.models(), journey.job.bundle.digest)
        if as_json:
            facemem.export(journey.job.id, "jsonl", sys.stdout.buffer)
        else:
            results().print(results_table(journey.results()))
            results().print(plain(explained), markup=False)
        if sheet is not None:
            title = told.get("name") or files[0].parent.name
            write_sheet(sheet, facemem, journey.job, journey.results(), title, explained)
            console.print(f"Contact sheet: {sheet}", markup=False, soft_wrap=True)
    if not all_final(journey.job):
        sys.exit(1)
