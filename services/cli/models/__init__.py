"""`facemem models`: the bundles that are here, and which of them is used."""

import rich_click as click

from services.cli.models.import_vggface2 import import_vggface2
from services.cli.models.listing import list_bundles, print_list
from services.cli.models.show import show
from services.cli.models.use import use
from services.cli.models.verify import verify


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List, show, verify and choose model bundles.

    Without a subcommand it lists the bundles that are here, verified, with what they predict and how well. The Spearman
    correlation is that of scores with people's ratings, on faces held out of the training; the interval holds 95 %.

    \b
    facemem models
    facemem models show compact
    facemem models verify ~/trained/mine
    facemem models use ~/trained/mine
    """
    if context.invoked_subcommand is None:
        print_list(None)


for command in (list_bundles, show, verify, use, import_vggface2):
    models.add_command(command)
