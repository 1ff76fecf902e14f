"""Results for people."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.api.schemas import FaceResult, ImageResult, JobStatus, Limit, Word
from services.api.schemas.faces import RankedFace
from services.cli.durations import span
from services.cli.terminal import moment, plain
from services.client.wording import why_no_score
from shared.jobs.states import ImageState, Priority
from shared.wording import contribution, counted, heaviest, ordinal

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


def faces_table(faces: Iterable[RankedFace]) -> Table:
    """A row for each face, with its rank."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("image", max_width=32, overflow="ellipsis", no_wrap=True)
    table.add_column("face", justify="right", no_wrap=True)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("score", no_wrap=True)
    table.add_column("percentile", justify="right", no_wrap=True)
    table.add_column("words that weigh most", min_width=34)
    table.add_column("caption", overflow="ellipsis", no_wrap=True, ratio=1)
    for face in faces:
        table.add_row("" if face.rank is None else f"{face.rank:,}", Text(plain(face.image.name)), *_cells(face))
    return table


def jobs_table(jobs: Iterable[JobStatus]) -> Table:
    """A row for each job."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("job", no_wrap=True)
    table.add_column("name", max_width=24, overflow="ellipsis", no_wrap=True)
    table.add_column("labels", max_width=24, overflow="ellipsis", no_wrap=True)
    for heading in ("state", "submitted"):
        table.add_column(heading, no_wrap=True)
    for heading in ("images", "done", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for job in jobs:
        table.add_row(
            str(job.id),
            Text(plain(job.name or "")),
            Text(plain(", ".join(job.labels))),
            job.state,
            moment(job.created_at),
            f"{job.images:,}",
            f"{share_done(job):.0%}",
            f"{job.counts.get(ImageState.FAILED, 0):,}",
        )
    return table


def limits_table(limits: Iterable[Limit]) -> Table:
    """A row for each limit."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("limit", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("of what")
    for limit in limits:
        value = "none" if limit.value is None else f"{limit.value:,}"
        table.add_row(Text(plain(limit.name)), value, Text(plain(limit.description)))
    return table


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
        Text(f"Job {job.id}{name}: {job.state}, {share_done(job):.0%} done{left}"),
        table,
        *(Text(f"At {held.stage} {held.images:,} wait: {plain(held.detail)}", "yellow") for held in job.held_up),
        Text(f"{counted(job.images, 'image')}: {counts}"),
        Text(_times(job)),
        *_terms(job),
        Text(f"Bundle {plain(job.bundle.name or 'unknown')} {job.bundle.digest[:12]}{again}"),
    )


def share_done(job: JobStatus) -> float:
    """How much of a job is done; of one that was cancelled, how much had been by then."""
    cancelled = job.counts.get(ImageState.CANCELLED, 0)
    return (job.images - cancelled) / job.images if cancelled else job.progress


def _times(job: JobStatus) -> str:
    submitted = f"Submitted {moment(job.created_at)}"
    if job.finished_at is None:
        return submitted
    return f"{submitted}, ended {moment(job.finished_at)}, {span((job.finished_at - job.created_at).total_seconds())}"


def _terms(job: JobStatus) -> list[Text]:
    """What the job was told about itself, where it was."""
    told = [
        f"labels {plain(', '.join(job.labels))}" if job.labels else "",
        f"priority {job.priority}" if job.priority != Priority.BULK else "",
        f"to be done by {moment(job.deadline)}" if job.deadline else "",
        f"deletes itself at {moment(job.expires_at)}" if job.expires_at else "",
        "keeps scores only" if job.scores_only else "",
    ]
    line = ", ".join(filter(None, told))
    return [Text(line[0].upper() + line[1:])] if line else []
