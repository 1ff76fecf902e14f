"""The explanation of a face for people, as text."""

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.api.schemas import Explanation, FaceResult, Word
from services.cli.terminal import plain
from shared.wording import NO_CAUSE, adding_up, flagged, ordinal

BAR = 24  # characters for the heaviest word


def explanation_table(face: FaceResult, why: Explanation) -> Group:
    """The score, a row for each word in the order of the caption, and the sum of all parts."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("word", max_width=40, overflow="fold")
    table.add_column("adds", justify="right")
    table.add_column("")
    strongest = max((abs(word.contribution) for word in why.words), default=0.0) or 1.0
    for number, word in enumerate(why.words):
        table.add_row(str(number), Text(plain(word.text)), f"{word.contribution:+.4f}", _bar(word, strongest))
    score = f"{face.score:.4f} ± {face.uncertainty or 0:.2f}, {ordinal(face.percentile or 0)} percentile"
    added = sum(sum(regions) for regions in why.contributions)
    told: list[Text | Table] = [Text(plain(face.caption or "")), table]
    told += [Text(f"{adding_up(why.constant, added, why.logit)}; its logistic is the score, {score}")]
    if warning := flagged(face.flags):
        told.append(Text(warning, "yellow"))
    return Group(*told, Text(NO_CAUSE))


def _bar(word: Word, strongest: float) -> Text:
    """As long as the word is heavy, in the colours of the heat map: red raises, blue lowers."""
    length = round(abs(word.contribution) / strongest * BAR)
    return Text("█" * length, "red" if word.contribution > 0 else "blue")
