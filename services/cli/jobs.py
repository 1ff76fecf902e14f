"""`facemem jobs`: the jobs that there are."""

from datetime import datetime
from itertools import islice

import rich_click as click

from services.cli import options
from shared.jobs.states import JobState


@click.command()
@click.option(
    "--state",
    "states",
    type=click.Choice(list(map(str, JobState))),
    multiple=True,
    help="Only in this state; repeat it.",
)
@click.option("--label", "labels", metavar="WORD", multiple=True, help="Only with this label; with all, if repeated.")
@click.option("--priority", type=click.Choice(["interactive", "bulk"]), help="Only of this priority.")
@click.option("--name", help="Only of this name.")
@click.option("--since", type=click.DateTime(), help="Only submitted since then, in this machine's time zone.")
@click.option("--number", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line.")
@options.service
def jobs(
    states: tuple[str, ...],
    labels: tuple[str, ...],
    priority: str | None,
    name: str | None,
    since: datetime | None,
    number: int,
    as_json: bool,
    service: options.Service,
) -> None:
    """List jobs, the newest first.

    \b
    facemem jobs
    facemem jobs --state running --label spring
    facemem jobs --json --number 1000 | jq -r .id
    """
    from services.cli.connection import connected
    from services.cli.tables import jobs_table
    from services.cli.terminal import results

    with connected(service) as facemem:
        after = since and since.astimezone()
        found = facemem.jobs(states=states, labels=labels, priority=priority, name=name, created_after=after)
        if as_json:
            for job in islice(found, number):
                click.echo(job.model_dump_json())
        else:
            results().print(jobs_table(islice(found, number)))
