"""`facemem models`: the bundles that are here."""

import rich_click as click


@click.command()
def models() -> None:
    """List the model bundles that came with facemem, verified, with what they predict and how well.

    The Spearman correlation is that of scores with people's ratings, on faces held out of the training; the interval
    holds 95 %. A bundle's folder also has its whole card, card.md.

    \b
    facemem models
    FACEMEM_BUNDLE=compact facemem up
    """
    from services.cli.bundle_tables import bundles_table
    from services.cli.terminal import results
    from shared.memorability.catalogue import shipped

    results().print(bundles_table(shipped()))
