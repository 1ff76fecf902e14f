"""`facemem submit`: hand over photographs and go."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import rich_click as click

from services.cli import options
from shared.jobs.states import ImageState

if TYPE_CHECKING:
    from services.cli.sources import Source
    from services.client import Facemem
    from services.client.options import Options


@click.command()
@options.images
@click.option("--dry-run", is_flag=True, help="Only say what would become of them; nothing is kept.")
@click.option("--wait", is_flag=True, help="Stay and show the progress until the job has ended.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: the answer of the API, as one JSON object.")
@options.job_options
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Submitting again under the same key is the same job.  [default: made from the files, if they are images]",
)
@click.option("--again", is_flag=True, help="Make a new job, also of files that were submitted before.")
@options.service
def submit(
    paths: tuple[Path, ...],
    dry_run: bool,
    wait: bool,
    as_json: bool,
    told: "Options",
    idempotency_key: str | None,
    again: bool,
    service: options.Service,
) -> None:
    """Submit photographs to the facemem that runs, and print the job's id.

    PATH is any number of images and folders, or one archive (.zip, .tar, .tar.gz), or one manifest (.csv, .jsonl,
    .json) that lists links. Once the id is printed the job is safe: it goes on whatever happens to this terminal. After
    an interruption type the same again: only files that are missing are sent, and it is the same job. With --wait the
    exit status is 1 if no image succeeded.

    \b
    facemem submit ~/Pictures/shoot --name "spring campaign" --label spring
    facemem submit shoot.zip --dry-run
    facemem submit links.csv --priority interactive --keep 30d
    job=$(facemem submit ~/Pictures/shoot) && facemem status $job --follow
    """
    from services.cli.connection import connected
    from services.cli.sources import source

    chosen = source(paths)
    with connected(service) as facemem:
        if dry_run:
            _preview(facemem, chosen, told, as_json)
        else:
            _submit(facemem, chosen, told, str(uuid4()) if again else idempotency_key, wait)


def _submit(facemem: "Facemem", chosen: "Source", told: "Options", key: str | None, wait: bool) -> None:
    from services.cli.journey import watched
    from services.cli.progress import Display
    from services.cli.terminal import notes

    with Display(notes()) as display:
        job = chosen.submit(facemem, display, key, told)
        click.echo(job.id)
        if wait:
            job = watched(facemem, job, display)
    if wait and job.images and not job.counts.get(ImageState.SUCCEEDED):
        sys.exit(1)


def _preview(facemem: "Facemem", chosen: "Source", told: "Options", as_json: bool) -> None:
    from services.cli.preview_table import preview_view
    from services.cli.terminal import results

    found = chosen.preview(facemem, told)
    if as_json:
        click.echo(found.model_dump_json())
    else:
        results().print(preview_view(found))
