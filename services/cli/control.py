"""`facemem pause`, `resume` and `cancel`: what can be done with a job on its way."""

from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@options.service
def pause(job: UUID, service: options.Service) -> None:
    """Let nothing more of a job in until it is resumed. What is in work is finished at its stage.

    \b
    facemem pause 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected

    with connected(service) as facemem:
        _tell(f"Job {job} is {facemem.pause(job).state}; `facemem resume` lets it go on.")


@click.command()
@options.job
@options.service
def resume(job: UUID, service: options.Service) -> None:
    """Let a paused job go on.

    \b
    facemem resume 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected

    with connected(service) as facemem:
        _tell(f"Job {job} is {facemem.resume(job).state}.")


@click.command()
@options.job
@options.service
def cancel(job: UUID, service: options.Service) -> None:
    """Withdraw a job. Images that are finished keep their results.

    \b
    facemem cancel 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected
    from services.cli.journey import tally

    with connected(service) as facemem:
        found = facemem.cancel(job)
        _tell(f"Job {job} is {found.state}: {tally(found)}.")


def _tell(line: str) -> None:
    from services.cli.terminal import notes

    notes().print(line, markup=False, soft_wrap=True)
