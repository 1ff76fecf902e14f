"""The whole system on photographs, against the bare loop over the same networks and against the naive script.

The system is API, queue, Postgres, storage and all workers, from the submission's first byte to the job's last score.
The bare loop is one process for each core that runs the workers' own functions in batches and keeps nothing. The naive
script does one photograph after the other with facenet-pytorch, float32 networks and captions padded to 512 tokens, on
all cores. All describe faces with the describer, which needs no GPU. Photographs are portraits of 1024 pixels.

python -m benchmarks.pipeline [--quick] [--json]
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from benchmarks.bare import SIDE
from benchmarks.measure import Row, arguments, tell
from benchmarks.photographs import jpeg, portrait
from benchmarks.reference import written
from services.client import Facemem
from services.local.system import ONE_OF_EACH, local_system
from shared.jobs.states import ImageState, Stage
from shared.memorability.catalogue import find
from shared.settings import LocalSettings

BARE_BAR = 0.85
LATENCY_FACTOR, LATENCY_SECONDS = 1.5, 0.15
POLL_SECONDS, SET_POLL_SECONDS = 0.005, 0.2  # of one photograph, and of many: nobody watches a set as closely
JOB_SECONDS = 300.0
# In a run of the system and of the bare loop, which takes many seconds: at its end not all workers have work.
IMAGES, QUICK_IMAGES = 384, 64
NAIVE_IMAGES = 8  # of them for the naive script, which takes long
ROUNDS, QUICK_ROUNDS = 3, 1
SINGLES = 15  # photographs sent alone


@dataclass(frozen=True)
class Setting:
    """What faces are looked for in, and with which bundle.

    naive_bar: against the naive script, if it is compared.
    """

    what: str
    bundle: str
    long_side: int
    min_face: int
    naive_bar: float | None


SETTINGS = (
    Setting("compact, 1024 pixels, faces from 40", "compact", 1024, 40, None),
    Setting("SE-ResNet-50 and BERT, the same boxes as facenet-pytorch (1024, from 20)", "reference", 1024, 20, 9.0),
    Setting("SE-ResNet-50 and BERT, bounded (512, from 40)", "reference", 512, 40, 15.0),
)
_numbers = count()


def main() -> None:
    """Print a table."""
    asked = arguments(__doc__)
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        bundles = {"compact": find("compact").path, "reference": written(Path(folder) / "reference").path}
        for place, setting in enumerate(SETTINGS):
            home = Path(folder) / f"home-{place}"
            rows += measured(setting, home, bundles[setting.bundle], asked.quick)
    tell(rows, asked.json, ("torch", "openvino", "facenet-pytorch", "celery", "psycopg"))


def measured(setting: Setting, home: Path, bundle: Path, quick: bool) -> list[Row]:
    """All rows of one setting."""
    images, rounds = (QUICK_IMAGES, QUICK_ROUNDS) if quick else (IMAGES, ROUNDS)
    cores = len(os.sched_getaffinity(0))
    with ExitStack() as sides:
        bare = [sides.enter_context(beside("bare", bundle, setting, threads=1)) for _ in range(cores)]
        naive = sides.enter_context(beside("naive", bundle, setting, cores)) if setting.naive_bar else None
        facemem = sides.enter_context(system(setting, home, bundle))
        sent(facemem, home, QUICK_IMAGES)  # everything has been used once
        rates: dict[str, list[float]] = {"system": [], "bare": [], "naive": []}
        for _ in range(rounds):
            rates["system"].append(images / sent(facemem, home, images))
            rates["bare"].append(images / together(bare, images))
            if naive:
                rates["naive"].append(NAIVE_IMAGES / together([naive], NAIVE_IMAGES))
        latency = None if setting.naive_bar else alone(facemem, home, bare[0])
    rows = [compared(setting.what, "the bare loop", rates["system"], rates["bare"], BARE_BAR)]
    if naive:
        note = f"The bare loop does {median(rates['bare']) / median(rates['naive']):.1f} x"
        row = compared(setting.what, "the naive script", rates["system"], rates["naive"], setting.naive_bar, note)
        rows.append(row)
    return rows + ([latency] if latency else [])


def compared(
    what: str, against: str, ours: Sequence[float], theirs: Sequence[float], bar: float | None, note: str = ""
) -> Row:
    """A row of the ratio of neighbours."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return Row(
        "pipeline",
        f"whole system, {what}",
        against,
        f"{median(ours):.1f} images a second",
        f"{median(theirs):.1f}",
        median(ratios),
        min(ratios),
        max(ratios),
        bar,
        note=note,
    )


def alone(facemem: Facemem, home: Path, bare: "Beside") -> Row:
    """One photograph on an idle system, until it has its score."""
    ours, theirs = [], []
    for _ in range(SINGLES):
        ours.append(sent(facemem, home, 1))
        theirs.append(together([bare], 1))
    bar = LATENCY_FACTOR * median(theirs) + LATENCY_SECONDS
    return Row(
        "pipeline",
        "one photograph on an idle system, from submission to score",
        "1.5 times the bare compute, plus 150 ms",
        f"{median(ours) * 1000:.0f} ms",
        f"{median(theirs) * 1000:.0f} ms bare",
        median(ours) * 1000,
        min(ours) * 1000,
        max(ours) * 1000,
        round(bar * 1000),
        "ms",
        at_most=True,
    )


@contextmanager
def system(setting: Setting, home: Path, bundle: Path) -> Iterator[Facemem]:
    """All of facemem, with as many workers for each core as the bare loop has: one finds faces and one embeds them."""
    settings = {
        "FACEMEM_DETECTION_LONG_SIDE": setting.long_side,
        "FACEMEM_DETECTION_MIN_FACE": setting.min_face,
        "FACEMEM_LOG_LEVEL": "warning",
        "FACEMEM_REQUESTS_PER_MINUTE": 1_000_000,  # who measures asks more often than clients may
    }
    os.environ.update({name: str(value) for name, value in settings.items()})
    local = LocalSettings(home=home, bundle=str(bundle))
    cores = len(os.sched_getaffinity(0))
    workers = {**ONE_OF_EACH, Stage.DETECTION: cores, Stage.EMBEDDING: cores}
    with local_system(local, workers) as running, Facemem(running.api_url) as facemem:
        yield facemem


def sent(facemem: Facemem, home: Path, images: int) -> float:
    """Submit so many new photographs. Returns the seconds until the last one has its end."""
    files = []
    for number in (next(_numbers) for _ in range(images)):
        files.append(home / f"photograph-{number}.jpg")
        files[-1].write_bytes(jpeg(portrait(number, SIDE)))
    began = perf_counter()
    job = facemem.submit(files, captioner="describer")
    while (counts := facemem.job(job.id).counts)[ImageState.SUCCEEDED] + counts[ImageState.SKIPPED] < images:
        if counts[ImageState.FAILED] or perf_counter() - began > JOB_SECONDS:
            raise RuntimeError(f"the job does not come to its end: {counts}")
        sleep(POLL_SECONDS if images == 1 else SET_POLL_SECONDS)
    took = perf_counter() - began
    for file in files:
        file.unlink()
    return took


@dataclass(frozen=True)
class Beside:
    """A process of benchmarks.bare: `ask` sends it a line, `answer` waits for one."""

    ask: Callable[[str], object]
    answer: Callable[[], str]


@contextmanager
def beside(kind: str, bundle: Path, setting: Setting, threads: int) -> Iterator[Beside]:
    """Start it, and end it by the end of its input."""
    argv = [sys.executable, "-m", "benchmarks.bare", kind, str(bundle)]
    argv += [str(setting.long_side), str(setting.min_face), str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        stdin, stdout = process.stdin, process.stdout

        def ask(line: str) -> None:
            stdin.write(f"{line}\n")
            stdin.flush()

        yield Beside(ask, lambda: stdout.readline().strip())
        stdin.close()


def together(sides: Sequence[Beside], images: int) -> float:
    """Let them do so many new photographs between them. Returns the seconds until the last is done."""
    first = next(_numbers)
    for place, side in enumerate(sides):
        side.ask(f"{first + place} {first + images} {len(sides)}")
    for side in sides:
        side.answer()  # they have made their photographs
    began = perf_counter()
    for side in sides:
        side.ask("go")
    if not all(side.answer() for side in sides):
        raise RuntimeError("a process of the other side has ended")
    return perf_counter() - began


if __name__ == "__main__":
    main()
