"""`facemem train`: make a bundle."""

from pathlib import Path

import rich_click as click


@click.command()
@click.option("--recipe", default="compact", show_default=True, help="What to train.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with ratings.csv (columns image and memorable, 0..100) and the images that it names.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write the bundle to.",
)
def train(recipe: str, data: Path, output: Path) -> None:
    """Train a model bundle from rated face images, and measure it on held-out faces.

    \b
    facemem train --recipe compact --data ratings --output my-bundle
    facemem evaluate --bundle my-bundle --data ratings
    FACEMEM_BUNDLE=$PWD/my-bundle facemem up
    """
    from services.cli.bundle_tables import quality_view
    from services.cli.tasks import Tasks
    from services.cli.terminal import notes, results
    from services.training import recipes

    with Tasks(notes()) as tasks:
        bundle = recipes.train(recipe, data, output, progress=tasks.done)
    results().print(quality_view(bundle, bundle.card["results"]))
    notes().print(f"Bundle: {bundle.path}", markup=False, soft_wrap=True)
