"""`facemem results`: what came out of a job."""

import sys
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@click.option("--json", "form", flag_value="json", help="One JSON object on each line, as `facemem score --json`.")
@click.option("--csv", "form", flag_value="csv", help="A table for spreadsheets.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file and not to the screen.",
)
@options.home
@options.api
def results(job: UUID, form: str | None, output: Path | None, home: Path | None, api: str | None) -> None:
    """Show the scores of a job, also while it runs.

    \b
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    facemem results 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --csv --output scores.csv
    """
    from services.cli import records, tables, terminal
    from services.cli.connection import connected
    from shared.jobs.states import JobState

    with connected(home, api) as facemem:
        if facemem.job(job).state == JobState.RUNNING:
            terminal.notes().print("The job still runs; this is what there is by now.")
        images = facemem.results(job)
        with output.open("w", encoding="utf-8", newline="") if output else nullcontext(sys.stdout) as file:
            if form == "json":
                file.writelines(f"{line}\n" for line in records.json_lines(images))
            elif form == "csv":
                records.write_csv(images, file)
            else:
                terminal.results(file).print(tables.results_table(images))
