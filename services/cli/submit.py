"""`facemem submit`: hand over photographs and go."""

from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@options.images
@click.option("--wait", is_flag=True, help="Stay and show the progress until the job has ended.")
@options.name
@options.captioner
@options.bundle
@options.home
@options.api
def submit(
    paths: tuple[Path, ...],
    wait: bool,
    name: str | None,
    captioner: str,
    bundle: str | None,
    home: Path | None,
    api: str | None,
) -> None:
    """Submit photographs to the facemem that runs, and print the job's id.

    Once the id is printed the job is safe: it goes on whatever happens to this terminal. A set that is larger than one
    job may be becomes several; each id is on a line of its own.

    \b
    facemem submit ~/Pictures/shoot --name "spring campaign"
    job=$(facemem submit ~/Pictures/shoot) && facemem status $job
    """
    from services.cli.connection import connected
    from services.cli.gather import gather
    from services.cli.journey import Journey
    from services.cli.progress import Display
    from services.cli.terminal import notes

    files = gather(paths)
    with connected(home, api) as facemem, Display(notes()) as display:
        journey = Journey(facemem, files, display)
        for job in journey.submit(captioner=captioner, name=name, bundle=bundle):
            click.echo(job.id)
        if wait:
            journey.watch()
