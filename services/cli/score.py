"""`facemem score`: from files to scores, in one command."""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options


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
@options.name
@options.captioner
@options.bundle
@options.home
@options.api
def score(
    paths: tuple[Path, ...],
    as_json: bool,
    sheet: Path | None,
    name: str | None,
    captioner: str,
    bundle: str | None,
    home: Path | None,
    api: str | None,
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
    from services.cli.records import json_lines
    from services.cli.sheet import write_sheet
    from services.cli.tables import results_table
    from services.cli.terminal import notes, plain, results
    from services.client.wording import about

    files = gather(paths)
    console = notes()
    with started_if_needed(home, api, console) as facemem:
        with Display(console) as display:
            journey = Journey(facemem, files, display)
            journey.score(captioner=captioner, name=name, bundle=bundle)
        told = about(facemem.models(), journey.jobs[0].bundle.digest)
        if as_json:
            for line in json_lines(journey.results()):
                click.echo(line)
        else:
            results().print(results_table(journey.results()))
            results().print(plain(told), markup=False)
        if sheet is not None:
            write_sheet(sheet, facemem, journey.jobs, journey.results(), name or files[0].parent.name, told)
            console.print(f"Contact sheet: {sheet}", markup=False, soft_wrap=True)
    if not all_final(journey.jobs):
        sys.exit(1)
