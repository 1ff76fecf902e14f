"""`facemem evaluate`: how good a bundle is."""

from pathlib import Path

import rich_click as click


@click.command()
@click.option("--bundle", default="compact", show_default=True, help="Name of a shipped bundle, or a bundle's folder.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The data set that the bundle was trained on.",
)
def evaluate(bundle: str, data: Path) -> None:
    """Measure a bundle again, on the faces that were held out when it was trained.

    \b
    facemem evaluate --bundle compact --data ratings
    """
    from services.cli.bundle_tables import quality_view
    from services.cli.terminal import results
    from services.training import evaluation
    from shared.memorability.catalogue import find

    found = find(bundle)
    results().print(quality_view(found, evaluation.evaluate(found, data)))
