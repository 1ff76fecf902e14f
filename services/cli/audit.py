"""`facemem audit`: who did what, and when."""

from datetime import datetime
from itertools import islice

import rich_click as click

from services.cli import options


@click.command()
@click.option("--action", metavar="ACTION", help="Only this, such as job.deleted.")
@click.option("--subject", metavar="ID", help="Only what was done to this job, image, face, key or webhook.")
@click.option("--since", type=click.DateTime(), help="Only since then, in this machine's time zone.")
@click.option("--number", type=click.IntRange(1), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line.")
@options.service
def audit(
    action: str | None,
    subject: str | None,
    since: datetime | None,
    number: int,
    as_json: bool,
    service: options.Service,
) -> None:
    """List who did what and when, the latest first. Names, captions and links are never in it.

    \b
    facemem audit --action job.deleted
    facemem audit --subject 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected
    from services.cli.removal_tables import audit_table
    from services.cli.terminal import results

    with connected(service) as facemem:
        found = facemem.audit(action=action, subject=subject, since=since and since.astimezone())
        if as_json:
            for entry in islice(found, number):
                click.echo(entry.model_dump_json())
        else:
            results().print(audit_table(islice(found, number)))
