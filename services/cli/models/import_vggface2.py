"""`facemem models import-vggface2`: the published weights of the reference bundle's visual encoder, made safe."""

from pathlib import Path

import rich_click as click


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="File to write; by default FILE with the ending .safetensors.",
)
def import_vggface2(file: Path, output: Path | None) -> None:
    """Convert senet50_scratch_weight.pkl, VGGFace2's SE-ResNet-50, for training the reference bundle.

    FILE is the PyTorch form of the weights that Cao et al. published with VGGFace2 in 2018; the repository
    VGGFace2-pytorch on GitHub (cydonia999) links to it under `senet50_scratch`. facemem does not come with it.
    The weights were trained on photographs of real people, gathered on the web for research: read the terms of the
    weights and of the data set, and see for yourself that your use is allowed. What you train with them inherits that
    question.

    FILE is a pickle, which could run anything when opened. Here nothing of it is run: it is read as plain arrays, each
    name and shape is compared with the network's, and the network is written without its classifier of identities.

    \b
    facemem models import-vggface2 senet50_scratch_weight.pkl
    facemem models import-vggface2 senet50_scratch_weight.pkl --output weights/vggface2.safetensors
    """
    from services.cli.terminal import plain, results
    from services.training.vggface2 import convert

    imported = convert(file, output or file.with_suffix(".safetensors"))
    lines = (
        f"{file}: SHA-256 {imported.pickle_sha256}",
        f"{imported.path}: SHA-256 {imported.sha256}, {imported.numbers:,} numbers",
    )
    for line in lines:
        results().print(plain(line), markup=False, soft_wrap=True)
