"""What was found out about a set, and what to say with it."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.insights.associations import FEWEST, Associations
from services.insights.scores import Scores

# True of every set and every bundle. What a score is, the bundle's card says.
NOTES = (
    "These are associations in this set, not causes: changing what a word names need not change a score.",
    "They mirror the data that the model learned from, and the captioner's habits and errors. "
    "Words for a person's looks are words of captions and nothing more: nothing is inferred about groups of people.",
    "Each photograph counts once. Photographs of one person or of one series are still taken for independent; a set of "
    "few people shows more than there is.",
)


@dataclass(frozen=True)
class Findings:
    """What the scored faces of a set show, or a sample of them. `captioners` counts faces by name and version."""

    scored: int
    photographs: int
    scores: Scores | None
    flags: Mapping[str, int]
    captioners: Mapping[tuple[str, str | None], int]
    associations: Associations

    @property
    def used(self) -> int:
        return self.scores.faces if self.scores else 0

    def warnings(self, running: bool) -> list[str]:
        """What a reader has to mind with this set in particular."""
        told = []
        if running:
            told.append("The job is still running; this is about the faces that have a score by now.")
        if self.used < self.scored:
            told.append(f"A random sample of {self.used:,} of {self.scored:,} scored faces was used.")
        if len(self.captioners) > 1:
            told.append(
                "Several captioners described this set. A word may tell who wrote the caption rather than what is in "
                "the picture; submit the set again with one captioner to compare its words."
            )
        if self.scores is None:
            told.append("No face of this job has a score yet." if running else "No face of this job has a score.")
        elif not self.associations.clear and not self.associations.others:
            told.append(
                f"{self.photographs:,} photographs are too few to compare any word: it takes {FEWEST} with it and "
                f"{FEWEST} without it."
            )
        elif not self.associations.clear:
            told.append("No word's difference is larger than chance would make it.")
        return told
