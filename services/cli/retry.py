"""`facemem retry`: the images of a job that failed, once more."""

from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@click.option(
    "--reason", "reasons", metavar="CODE", multiple=True, help="Only those that failed for this reason; repeat it."
)
@click.option("--preview", is_flag=True, help="Only say how many that would be.")
@click.option("--wait", is_flag=True, help="Stay and show the progress until the job has ended.")
@options.service
def retry(job: UUID, reasons: tuple[str, ...], preview: bool, wait: bool, service: options.Service) -> None:
    """Try the images of a job that failed again.

    The reasons are the codes in the results, such as fetch_failed. Earlier attempts stay in the results.

    \b
    facemem retry 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --preview
    facemem retry 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --reason fetch_failed --wait
    """
    from services.cli.connection import connected
    from services.cli.journey import watched
    from services.cli.progress import Display
    from services.cli.terminal import notes

    with connected(service) as facemem, Display(notes()) as display:
        found = facemem.retry(job, reasons, preview=preview)
        parts = ", ".join(f"{number:,} {reason}" for reason, number in found.by_reason.items()) or "none"
        display.note(f"{'Would try' if preview else 'Trying'} {found.images:,} images again: {parts}.")
        if wait and not preview:
            watched(facemem, facemem.job(job), display)
