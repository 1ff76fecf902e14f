"""What a backup is made of, and what one is restored to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.settings import Settings
from shared.storage.objects import Objects, open_objects

Report = Callable[[str, int, int], None]
"""Called with what is being done, how far that is, and how far it will go."""


def to_nobody(doing: str, done: int, total: int) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Place:
    """A system's data: its database, its storage, and its folder of bundles with the choice among them, if any."""

    database_url: str
    objects: Objects
    bundles: Path | None = None
    choice: Path | None = None

    @classmethod
    def of(cls, settings: Settings, choice: Path | None = None) -> "Place":
        """Where the settings say."""
        return cls(settings.database_url.get_secret_value(), open_objects(settings), settings.bundles_folder, choice)
