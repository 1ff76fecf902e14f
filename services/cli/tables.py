"""Results for people."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.api.schemas import FaceResult, ImageResult, JobStatus, Word
from services.cli.terminal import plain
from services.client.wording import why_no_score
from shared.wording import contribution, heaviest, ordinal

WORDS = 3


def results_table(images: Iterable[ImageResult]) -> Table:
    """A row for each face that has a score, and for each image that has none."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("image", max_width=32, overflow="ellipsis", no_wrap=True)
    table.add_column("face", justify="right", no_wrap=True)
    table.add_column("id", justify="right", no_wrap=True)  # what `facemem explain` takes
    table.add_column("score", no_wrap=True)
    table.add_column("percentile", justify="right", no_wrap=True)
    table.add_column("words that weigh most", min_width=34)
    table.add_column("caption", overflow="ellipsis", no_wrap=True, ratio=1)
    for image in images:
        name = plain(image.image)
        scored = [face for face in image.faces if face.score is not None]
        for face in scored:
            table.add_row(Text(name), *_cells(face))
        if not scored:
            table.add_row(Text(name), "", "", Text(image.state, "dim"), "", Text(plain(why_no_score(image)), "dim"), "")
    return table


def _cells(face: FaceResult) -> tuple[Text, ...]:
    return (
        Text(str(face.face)),
        Text(str(face.id)),
        Text.assemble((f"{face.score:.2f}", "bold"), (f" ± {face.uncertainty or 0:.2f}", "dim")),
        Text(ordinal(face.percentile or 0)),
        _words(face),
        Text(plain(face.caption or "")),
    )


def _words(face: FaceResult) -> Text:
    words = Text("  ").join(_word(word) for word in heaviest(face.words, WORDS))
    if face.flags:
        words.append("\nTrust this less: " + ", ".join(flag.replace("_", " ") for flag in face.flags), "yellow")
    return words


def _word(word: Word) -> Text:
    # Colours of the heat map: red raises, blue lowers.
    return Text(plain(contribution(word)), "red" if word.contribution > 0 else "blue")


def status_view(job: JobStatus) -> Group:
    """A job: its state, a row for each stage, its images in each state, and what scores them."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("stage")
    for heading in ("waiting", "running", "passed"):
        table.add_column(heading, justify="right")
    for stage in job.stages:
        table.add_row(stage.stage, f"{stage.waiting:,}", f"{stage.running:,}", f"{stage.passed:,}")
    name = f" ({plain(job.name)})" if job.name else ""
    left = f", about {job.estimate_seconds:,.0f} s left" if job.estimate_seconds else ""
    counts = ", ".join(f"{number:,} {state}" for state, number in job.counts.items() if number)
    again = f", on the faces of job {job.rescored_from}" if job.rescored_from else ""
    return Group(
        Text(f"Job {job.id}{name}: {job.state}, {job.progress:.0%} done{left}"),
        table,
        Text(f"{job.images:,} images: {counts}"),
        Text(f"Bundle {plain(job.bundle.name or 'unknown')} {job.bundle.digest[:12]}{again}"),
    )
