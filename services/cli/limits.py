"""`facemem limits`: what the service accepts."""

import rich_click as click

from services.cli import options


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on each line.")
@options.service
def limits(as_json: bool, service: options.Service) -> None:
    """List every limit of the service. An error that meets one names it.

    \b
    facemem limits
    """
    from services.cli.connection import connected
    from services.cli.tables import limits_table
    from services.cli.terminal import results

    with connected(service) as facemem:
        found = facemem.limits()
        if as_json:
            for limit in found:
                click.echo(limit.model_dump_json())
        else:
            results().print(limits_table(found))
