"""`facemem models`: the bundles that are here, and which of them is used."""

from pathlib import Path

import rich_click as click

from services.cli import options
from services.cli.models.import_vggface2 import import_vggface2
from services.cli.models.listing import list_bundles, print_list
from services.cli.models.show import show
from services.cli.models.use import use
from services.cli.models.verify import verify


@click.group(invoke_without_command=True)
@options.home
@click.pass_context
def models(context: click.Context, home: Path | None) -> None:
    """List, show, verify and choose model bundles.

    Without a subcommand it lists the bundles that are here, verified, with what they predict and how well. The Spearman
    correlation is that of scores with people's ratings, on faces held out of the training; the interval holds 95 %.

    \b
    facemem models
    facemem models show compact
    facemem models verify ~/trained/mine
    facemem models use ~/trained/mine
    facemem models use --shipped
    """
    if context.invoked_subcommand is None:
        print_list(home)
    elif home is not None:  # what was typed before a subcommand is meant for it, unless it says otherwise itself
        context.default_map = {name: {"home": str(home)} for name in models.commands}


for command in (list_bundles, show, verify, use, import_vggface2):
    models.add_command(command)
