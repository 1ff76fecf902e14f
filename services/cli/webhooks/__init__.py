"""`facemem webhooks`: addresses that are told when a job ends."""

import rich_click as click

from services.cli.webhooks.change import create, delete
from services.cli.webhooks.listing import list_webhooks
from services.cli.webhooks.log import deliveries, redeliver, test


@click.group()
def webhooks() -> None:
    """Have an address told when jobs end: signed, and repeated over days (Standard Webhooks).

    \b
    facemem webhooks create https://example.org/facemem --event job.completed
    facemem webhooks list
    facemem webhooks test ID
    facemem webhooks deliveries ID
    """


for command in (list_webhooks, create, delete, test, deliveries, redeliver):
    webhooks.add_command(command)
