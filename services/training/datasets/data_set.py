"""What a data set is to training, however it lies on disk."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and what follows from that, in the words of the card.

    `target` says what a model trained on it predicts; `licence_url` is empty where there is no such page.
    """

    name: str
    credit: str
    changes: str
    target: str
    licence: str
    licence_url: str
    licence_meaning: str
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """What others reported on the same data set, to stand beside our figures."""

    split_half: float  # Spearman of one half of the people with the other
    split_half_source: str
    spearman: float  # of the seed's model with the target, on a test tenth
    spearman_source: str


@dataclass(frozen=True)
class Judged:
    """How memorable raters said that each face is, (N,) each, nan where too few said so: all, and two random halves."""

    mean: np.ndarray
    half_a: np.ndarray
    half_b: np.ndarray


@dataclass(frozen=True)
class DataSet:
    """N images and how memorable each is.

    `images` are paths relative to `folder`; `targets` float64 (N,) are 0..1. `groups` are only used to measure gaps
    between groups, never as inputs: float64 (N,), nan where unknown, which are cut into thirds, or categories as
    str (N,), "" where unknown. `halves` are the targets as two halves of the raters gave them. `unused` names
    columns that nothing is done with; `notes` says what the reader decided by itself.
    """

    folder: Path
    images: list[str]
    targets: np.ndarray
    source: Source
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    halves: tuple[np.ndarray, np.ndarray] | None = None
    captions: list[str] | None = None
    judged: Judged | None = None
    published: Published | None = None
    unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> "DataSet":
        """The images in `rows`, in that order."""
        halves, judged = self.halves, self.judged
        return DataSet(
            folder=self.folder,
            images=[self.images[row] for row in rows],
            targets=self.targets[rows],
            source=self.source,
            groups={name: column[rows] for name, column in self.groups.items()},
            halves=None if halves is None else (halves[0][rows], halves[1][rows]),
            captions=None if self.captions is None else [self.captions[row] for row in rows],
            judged=judged and Judged(judged.mean[rows], judged.half_a[rows], judged.half_b[rows]),
            published=self.published,
            unused=self.unused,
            notes=self.notes,
        )
