"""`facemem status`: how far a job is."""

from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@click.option("--follow", is_flag=True, help="Stay and show the progress until the job has ended.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the API, as JSON; with --follow at each change.")
@options.service
def status(job: UUID, follow: bool, as_json: bool, service: options.Service) -> None:
    """Show how far a job is: its images at each stage and in each state.

    \b
    facemem status 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    facemem status 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --follow
    """
    from services.cli.connection import connected
    from services.cli.journey import watched
    from services.cli.progress import Display
    from services.cli.tables import status_view
    from services.cli.terminal import notes, results

    with connected(service) as facemem:
        if as_json:
            for found in facemem.watch(job) if follow else [facemem.job(job)]:
                click.echo(found.model_dump_json())
            return
        found = facemem.job(job)
        if follow:
            with Display(notes()) as display:
                found = watched(facemem, found, display)
        results().print(status_view(found))
