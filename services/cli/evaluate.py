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
@click.option("--retrain", is_flag=True, help="Train all folds again instead of reading the scores they gave.")
def evaluate(bundle: str, data: Path, retrain: bool) -> None:
    """Measure a bundle again, on the faces that were held out when it was trained.

    Every figure of its card is computed anew, from the ratings and from the score that each face got while its fold was
    held out. With --retrain those scores are made anew too, which takes minutes.

    \b
    facemem evaluate --bundle compact --data ratings
    facemem evaluate --bundle compact --data ratings --retrain
    """
    from services.cli.bundle_tables import quality_view
    from services.cli.tasks import Tasks
    from services.cli.terminal import notes, results
    from services.training import evaluation, recipes
    from shared.memorability.catalogue import find

    found = find(bundle)
    if retrain:
        with Tasks(notes()) as tasks:
            measured = recipes.evaluate_again(found, data, progress=tasks.done)
    else:
        measured = evaluation.evaluate(found, data)
    results().print(quality_view(found, measured))
