"""How the parts of the 10k US Adult Faces Database name one and the same face."""

from services.training.datasets.spreadsheet import text

PHOTOGRAPHS = (".jpg", ".jpeg", ".png")


def key_of(cell: object) -> str:
    """The name that a face has in all parts: without the file's ending, which differs in case or is left out."""
    name = text(cell).replace("\\", "/").rsplit("/", 1)[-1].casefold()
    return next((name.removesuffix(ending) for ending in PHOTOGRAPHS if name.endswith(ending)), name)
