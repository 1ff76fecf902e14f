"""`facemem evaluate`: how good a bundle is."""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options
from services.cli.models.arguments import named
from shared.memorability.catalogue import DIGITS

# Another processor adds in another order: floats differ in their last digits, and a face may change ranks.
TOLERANCE = 0.01


@click.command()
@click.option("--bundle", default="compact", show_default=True, help="A bundle's name, digest or folder.")
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The data set that the bundle was trained on.",
)
@click.option("--retrain", is_flag=True, help="Train all folds again instead of reading the scores they gave.")
@click.option(
    "--like",
    metavar="BUNDLE",
    help=f"Also compare with the card of this bundle; exit status 1 if a figure differs by more than {TOLERANCE}.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --retrain: the folder that kept crops and captions when the bundle was trained.",
)
@options.home
def evaluate(bundle: str, data: Path, retrain: bool, like: str | None, work: Path | None, home: Path | None) -> None:
    """Measure a bundle again, on the faces that were held out when it was trained.

    Every figure of its card is computed anew, from the ratings and from the score that each face got while its fold was
    held out. With --retrain those scores are made anew too, with the encoders in the bundle: that takes minutes for
    compact, hours for reference without a GPU.

    \b
    facemem evaluate --bundle compact --data ratings
    facemem evaluate --bundle compact --data ratings --retrain
    facemem evaluate --bundle my-bundle --data ratings --like compact
    """
    from services.cli.bundle_tables import quality_view
    from services.cli.tasks import Tasks
    from services.cli.terminal import notes, results
    from services.training import evaluation
    from services.training import train as training
    from services.training.evaluation import differences

    found = named(bundle, home)
    other = named(like, home) if like else None
    if retrain:
        with Tasks(notes()) as tasks:
            measured = training.evaluate_again(found, data, progress=tasks.done, options=training.Options(work=work))
    else:
        measured = evaluation.evaluate(found, data)
    results().print(quality_view(found, measured))
    if other is not None:
        gaps = differences(measured, other.card["results"])
        largest = max(gaps, key=lambda name: gaps[name])
        results().print(
            f"Largest difference from the card of {other.name} {other.digest[:DIGITS]}, of {len(gaps)} figures: "
            f"{gaps[largest]:.3f} ({largest}).",
            markup=False,
            soft_wrap=True,
        )
        if not gaps[largest] <= TOLERANCE:  # so, and not `>`, because nan is no agreement
            sys.exit(1)
