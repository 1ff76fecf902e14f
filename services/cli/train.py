"""`facemem train`: make a bundle."""

from pathlib import Path

import rich_click as click


@click.command()
@click.option(
    "--recipe",
    default="compact",
    show_default=True,
    type=click.Choice(["compact", "reference"]),
    help="compact: small, fast, from what comes with facemem. reference: SE-ResNet-50, BERT and captions by Ollama.",
)
@click.option(
    "--data",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with images and one CSV (columns image and score, perhaps caption; others tell groups apart), or "
    "the folder of the 10k US Adult Faces Database.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write the bundle to.",
)
@click.option("--name", help="What the bundle is called.  [default: the name of the output folder]")
@click.option(
    "--scale",
    type=float,
    nargs=2,
    metavar="LOW HIGH",
    help="What raters could say at least and at most, where scores are not 0 to 1.",
)
@click.option(
    "--captioner",
    type=click.Choice(["ollama", "describer"]),
    help="Who describes the faces. By default the describer for compact, Ollama for reference.",
)
@click.option(
    "--vggface2",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For reference: SE-ResNet-50's weights, as `facemem models import-vggface2` writes them.",
)
@click.option(
    "--bert",
    default="google-bert/bert-base-uncased",
    show_default=True,
    help="For reference: BERT's folder in Hugging Face's layout, or its name there; then it is downloaded once.",
)
@click.option("--folds", type=click.IntRange(2), help="Parts that are held out in turn. By default 10, reference: 5.")
@click.option("--repeats", type=click.IntRange(1), help="How often, with other folds. By default 1, reference: 2.")
@click.option("--members", type=click.IntRange(2), help="Heads whose mean is the score.  [default: 5]")
@click.option(
    "--epochs",
    type=click.IntRange(1),
    help="For reference: how often a head sees all faces, at most; early stopping may end it before.  [default: 80]",
)
@click.option(
    "--ablations",
    is_flag=True,
    help="Also measure what each part is worth: without captions, without cross-attention, and so on. Takes longer.",
)
@click.option(
    "--work",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps crops, captions, states and heads, so that a training that was ended goes on where it was. "
    "By default the folder training of facemem's data folder.",
)
def train(
    recipe: str,
    data: Path,
    output: Path,
    name: str | None,
    scale: tuple[float, float] | None,
    captioner: str | None,
    vggface2: Path | None,
    bert: str,
    folds: int | None,
    repeats: int | None,
    members: int | None,
    epochs: int | None,
    ablations: bool,
    work: Path | None,
) -> None:
    """Train a model bundle from rated face images, and measure it on held-out faces.

    Run the same command again after an interruption: what was done is kept, and the result is the same.

    \b
    facemem train --recipe compact --data ratings --output my-bundle
    facemem evaluate --bundle my-bundle --data ratings
    facemem models use my-bundle
    facemem models import-vggface2 senet50_scratch_weight.pkl
    facemem train --recipe reference --data "10k US Adult Faces" --vggface2 FILE.safetensors --output reference
    """
    from services.cli.bundle_tables import quality_view
    from services.cli.tasks import Tasks
    from services.cli.terminal import notes, results
    from services.training import train as training
    from services.training.encoders import Networks

    options = training.Options(
        captioner=captioner,
        networks=Networks(vggface2, bert),
        scale=scale,
        folds=folds,
        repeats=repeats,
        members=members,
        epochs=epochs,
        ablations=ablations,
        name=name,
        work=work,
    )
    notes().print(f"Work is kept in {options.folder}", markup=False, soft_wrap=True)
    with Tasks(notes()) as tasks:
        bundle = training.train(recipe, data, output, progress=tasks.done, options=options)
    results().print(quality_view(bundle, bundle.card["results"]))
    notes().print(f"Bundle: {bundle.path}", markup=False, soft_wrap=True)
