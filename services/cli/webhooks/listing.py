"""`facemem webhooks list`: who is told."""

import rich_click as click

from services.cli import options


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line.")
@options.service
def list_webhooks(as_json: bool, service: options.Service) -> None:
    """List the webhooks, the oldest first.

    \b
    facemem webhooks list
    """
    from services.cli.connection import connected
    from services.cli.terminal import results
    from services.cli.webhooks.tables import webhooks_table

    with connected(service) as facemem:
        found = facemem.webhooks.all()
        if as_json:
            for webhook in found:
                click.echo(webhook.model_dump_json())
        else:
            results().print(webhooks_table(found))
