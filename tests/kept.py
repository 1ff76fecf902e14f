"""What tests leave for people to look at: pictures of the page, what the dashboard's queries found."""

import os
from pathlib import Path

from tests.compose import ROOT


def kept(name: str) -> Path:
    """A file of that name in out/pictures, or in the folder that FACEMEM_PICTURES names."""
    folder = Path(os.environ.get("FACEMEM_PICTURES", ROOT / "out" / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
