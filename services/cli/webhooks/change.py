"""`facemem webhooks create` and `delete`."""

from uuid import UUID

import rich_click as click

from services.cli import options
from services.cli.webhooks.options import webhook as webhook_argument


@click.command()
@click.argument("url")
@click.option("--event", "events", metavar="TYPE", multiple=True, help="Only events of this type; repeat it.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the API, as one JSON object.")
@options.service
def create(url: str, events: tuple[str, ...], as_json: bool, service: options.Service) -> None:
    """Have an address told of events, and print the secret that they are signed with. It is shown this once.

    \b
    facemem webhooks create https://example.org/facemem
    facemem webhooks create https://example.org/facemem --event job.completed --event job.cancelled
    """
    from services.cli.connection import connected
    from services.cli.terminal import notes

    with connected(service) as facemem:
        made = facemem.webhooks.create(url, events)
    if as_json:
        click.echo(made.model_dump_json())
        return
    notes().print(f"Webhook {made.id} is told of: {', '.join(made.events)}. Its secret:", markup=False, soft_wrap=True)
    click.echo(made.secret)


@click.command()
@webhook_argument
@options.service
def delete(webhook: UUID, service: options.Service) -> None:
    """Tell an address of nothing more.

    \b
    facemem webhooks delete 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected
    from services.cli.terminal import notes

    with connected(service) as facemem:
        facemem.webhooks.delete(webhook)
    notes().print(f"Webhook {webhook} is deleted.", soft_wrap=True)
