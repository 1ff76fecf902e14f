"""`facemem webhooks test`, `deliveries` and `redeliver`: what an address was told."""

from itertools import islice
from uuid import UUID

import rich_click as click

from services.cli import options
from services.cli.webhooks.options import webhook as webhook_argument


@click.command()
@webhook_argument
@options.service
def test(webhook: UUID, service: options.Service) -> None:
    """Send an address an event of the type webhook.test.

    \b
    facemem webhooks test 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected

    with connected(service) as facemem:
        click.echo(facemem.webhooks.test(webhook).id)


@click.command()
@webhook_argument
@click.option("--number", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line, with every try.")
@options.service
def deliveries(webhook: UUID, number: int, as_json: bool, service: options.Service) -> None:
    """List what an address was told, the newest first.

    \b
    facemem webhooks deliveries 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    """
    from services.cli.connection import connected
    from services.cli.terminal import results
    from services.cli.webhooks.tables import deliveries_table

    with connected(service) as facemem:
        found = islice(facemem.webhooks.deliveries(webhook), number)
        if as_json:
            for delivery in found:
                click.echo(delivery.model_dump_json())
        else:
            results().print(deliveries_table(found))


@click.command()
@webhook_argument
@click.argument("delivery", metavar="DELIVERY", type=click.UUID)
@options.service
def redeliver(webhook: UUID, delivery: UUID, service: options.Service) -> None:
    """Send an event once more, with the same id.

    \b
    facemem webhooks redeliver 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 c9f0f895-fb98-4ab9-9d3f-1c9a5745c48e
    """
    from services.cli.connection import connected

    with connected(service) as facemem:
        click.echo(facemem.webhooks.redeliver(webhook, delivery).id)
