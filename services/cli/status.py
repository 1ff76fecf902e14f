"""`facemem status`: how far a job is."""

from pathlib import Path
from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@options.home
@options.api
def status(job: UUID, home: Path | None, api: str | None) -> None:
    """Show how far a job is: its images at each stage and in each state.

    \b
    facemem status 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    watch facemem status 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected
    from services.cli.tables import status_view
    from services.cli.terminal import results

    with connected(home, api) as facemem:
        results().print(status_view(facemem.job(job)))
