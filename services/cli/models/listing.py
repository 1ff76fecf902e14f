"""`facemem models list`: what is here."""

from pathlib import Path

import rich_click as click

from services.cli import options


@click.command("list")
@options.home
def list_bundles(home: Path | None) -> None:
    """List the bundles that are here: those that came with facemem and those of the data folder.

    \b
    facemem models list
    facemem models list --home ~/campaign
    """
    print_list(home)


def print_list(home: Path | None) -> None:
    """The table of all whole bundles; damaged ones are named beside it."""
    from services.cli.bundle_tables import bundles_table
    from services.cli.terminal import notes, plain, results
    from services.local.bundles import here, in_use
    from services.local.folder import local_settings
    from shared.errors import BundleInvalid

    local = local_settings(home)
    whole, wrong = here(local).survey()
    try:
        used = in_use(local).digest
    except BundleInvalid as error:
        used = ""
        wrong.append(error)
    results().print(bundles_table(whole, used))
    for detail in dict.fromkeys(each.detail for each in wrong):
        notes().print(plain(f"Not listed: {detail}."), markup=False, soft_wrap=True)
