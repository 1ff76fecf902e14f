"""`facemem insights`: which words go with high and low scores of a job."""

import sys
from pathlib import Path
from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@click.option("--all", "everything", is_flag=True, help="Also the words whose difference chance may have made.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the API, as one JSON object.")
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the picture of it to this PNG file.",
)
@options.service
def insights(job: UUID, everything: bool, as_json: bool, picture: Path | None, service: options.Service) -> None:
    """Show which words and attributes of the captions go with high and low scores of a job, also while it runs.

    If no facemem runs on the data folder, one is started for the occasion.

    \b
    facemem insights 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    facemem insights 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --picture words.png
    """
    from services.cli import terminal
    from services.cli.connection import started_if_needed
    from services.cli.insight_tables import insights_view

    console = terminal.notes()
    with started_if_needed(service, console) as facemem:
        found = facemem.insights(job, everything=everything)
        if as_json:
            sys.stdout.write(found.model_dump_json() + "\n")
        else:
            terminal.results().print(insights_view(found))
        if picture is not None:
            content = facemem.insights_picture(job)
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(content)
            console.print(f"The picture is in {picture}.", markup=False, soft_wrap=True)
