"""Does the memory of a process stay what it is, however many photographs have gone through it?

The whole local system, one process of each kind, and photographs of which no two have the same bytes or quite the same
size: half of them are fetched by link, half are uploaded. For each kind: the most memory it ever had in hand at the
end, against the most it had when the first hundred photographs were through; for the API, when the results of the first
set had been read, too. The describer writes the captions. It stops sending after eight minutes, but never before 3,000.
Linux only.

python -m benchmarks.memory [--quick] [--json]
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import UUID

import psutil

from benchmarks.measure import Row, arguments, tell
from benchmarks.photographs import composed, jpeg, portrait
from benchmarks.served import MIB, peak
from services.client import Facemem
from services.local.system import LocalSystem, local_system
from shared.jobs.states import ImageState, JobState, Stage
from shared.settings import LocalSettings

BAR = 1.05
FIRST = 100  # photographs, after which memory is to stay what it is
IMAGES, QUICK_IMAGES, AT_LEAST = 10_000, 600, 3_000
SECONDS = 480.0
JOB_IMAGES, OPEN_JOBS = 250, 2
# Every side from 256 to 640 comes, in an order in which neighbours are far apart: so any few are like all of them.
SMALLEST, SIDES, STRIDE = 256, 385, 151
CROWD_EVERY = 5  # photographs; the others show one person
LOOKS = 5  # between the first hundred and the end
POLL_SECONDS = 0.2
KINDS = (*(str(stage) for stage in Stage), "dispatcher", "api")
SETTINGS = {"FACEMEM_FETCH_PRIVATE_ADDRESSES": "true", "FACEMEM_CAPTIONER": "describer"}


def main() -> None:
    """Print a row for each kind of process."""
    asked = arguments(__doc__)
    os.environ.update(SETTINGS)  # processes of the system inherit them
    with (
        TemporaryDirectory(prefix="m") as folder,
        local_system(LocalSettings(home=Path(folder, "home"))) as system,
        linked() as links,
        Facemem(system.api_url) as facemem,
    ):
        through = Through(system, facemem, links, Path(folder, "photographs"))
        through.run(QUICK_IMAGES if asked.quick else IMAGES)
        rows = through.rows()
    tell(rows, asked.json, ("torch", "openvino", "granian", "celery"))


class Links(ThreadingHTTPServer):
    """Photographs to be fetched by link, each as long as it is kept here."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Fetched)
        self.kept: dict[str, bytes] = {}

    def keep(self, number: int, content: bytes) -> str:
        """Keep a photograph; returns its link."""
        self.kept[f"/{number}.jpg"] = content
        return f"http://127.0.0.1:{self.server_address[1]}/{number}.jpg"


class _Fetched(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with a photograph."""
        assert isinstance(self.server, Links)
        content = self.server.kept.get(self.path)
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def linked() -> Iterator[Links]:
    """A server of photographs, as long as the block lasts."""
    with Links() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def photograph(number: int) -> bytes:
    """One that no other number gives."""
    side = SMALLEST + number * STRIDE % SIDES
    return jpeg((portrait if number % CROWD_EVERY else composed)(number, side))


@dataclass(frozen=True)
class Set:
    """Photographs that were sent as one job."""

    job: UUID
    images: int
    by_link: bool


class Through:
    """Sends photographs through a system, and watches how much memory its processes have."""

    def __init__(self, system: LocalSystem, facemem: Facemem, links: Links, folder: Path) -> None:
        self._system = system
        self._facemem = facemem
        self._links = links
        self._folder = folder
        self._pids = {name: pid for name, pid in system.pids().items() if name.split("-")[0] in KINDS}
        self._numbers = count()
        self._open: list[Set] = []
        self._closed: list[Set] = []
        self._base: dict[str, int] = {}  # by kind
        self._looks: list[tuple[int, dict[str, int]]] = []  # how many were through, and the peaks by kind
        folder.mkdir()

    def run(self, images: int) -> None:
        """Send so many, or as many as the time allows, and wait for their end."""
        for by_link in (False, True):  # so that every process has its models and its modules
            self._send(2, by_link)
        while self._open:
            self._see()
        self._closed.clear()
        began, sent, next_look = monotonic(), 0, 0.0
        while sent < images or self._open:
            if monotonic() - began > SECONDS and sent >= AT_LEAST:
                images = sent
            if sent < images and len(self._open) < OPEN_JOBS:
                portion = min(JOB_IMAGES, images - sent)
                self._send(portion, by_link=not sent // JOB_IMAGES % 2)
                sent += portion
            through = self._see()
            if len(self._base) == len(KINDS) and (through >= next_look or not self._open):
                next_look = through + images / LOOKS
                self._look(through, monotonic() - began)
        if any(self._system.pids()[name] != pid for name, pid in self._pids.items()):
            raise RuntimeError("A process has ended and was started again.")

    def _send(self, images: int, by_link: bool) -> None:
        made = {number: photograph(number) for number in islice(self._numbers, images)}
        if by_link:
            links = [self._links.keep(number, content) for number, content in made.items()]
            job = self._facemem.submit_links(links, captioner="describer").id
        else:
            files = {self._folder / f"{number}.jpg": content for number, content in made.items()}
            for file, content in files.items():
                file.write_bytes(content)
            job = self._facemem.submit(list(files), captioner="describer").id
            for file in files:
                file.unlink()
        self._open.append(Set(job, images, by_link))

    def _see(self) -> int:
        """Look how far the jobs are, and read the results of those that have ended. Returns how many came through."""
        sleep(POLL_SECONDS)
        passed = dict.fromkeys(Stage, sum(each.images for each in self._closed))
        passed[Stage.INTAKE] = sum(each.images for each in self._closed if each.by_link)
        for each in list(self._open):
            status = self._facemem.job(each.job)
            for progress in status.stages:
                passed[progress.stage] += progress.passed if each.by_link or progress.stage != Stage.INTAKE else 0
            if status.state == JobState.COMPLETED:
                self._close(each, status.counts.get(ImageState.FAILED, 0))
        # The dispatcher is done with an image when it is scored, the API when its result has been read.
        read = sum(each.images for each in self._closed)
        by_kind = {
            **{str(stage): images for stage, images in passed.items()},
            "dispatcher": passed[Stage.SCORING],
            "api": read,
        }
        for kind in KINDS:
            if kind not in self._base and by_kind[kind] >= FIRST:
                self._base[kind] = self._peaks()[kind]
        return passed[Stage.SCORING] if self._open else sum(each.images for each in self._closed)

    def _close(self, ended: Set, failed: int) -> None:
        if failed:
            raise RuntimeError(f"{failed} photographs failed")
        self._facemem.export(ended.job, "jsonl", BytesIO())
        self._open.remove(ended)
        self._closed.append(ended)
        if not any(each.by_link for each in self._open):
            self._links.kept.clear()

    def _peaks(self) -> dict[str, int]:
        """The most bytes that each kind ever had in memory: of a process and of those that it started together."""
        found = {}
        for name, pid in self._pids.items():
            process = psutil.Process(pid)
            found[name.split("-")[0]] = sum(peak(each) for each in (process, *process.children(recursive=True)))
        return found

    def _look(self, through: int, seconds: float) -> None:
        peaks = self._peaks()
        self._looks.append((through, peaks))
        grown = ", ".join(f"{kind} {peaks[kind] / self._base[kind]:.3f}" for kind in KINDS)
        print(f"{through} photographs, {seconds:.0f} s: {grown}", file=sys.stderr, flush=True)

    def rows(self) -> list[Row]:
        """A row for each kind."""
        images, at_the_end = self._looks[-1]
        rows = []
        for kind in KINDS:
            base, most = self._base[kind], at_the_end[kind]
            steps = ", ".join(f"{through:,}: {peaks[kind] / base:.3f}" for through, peaks in self._looks[:-1])
            value = most / base
            rows.append(
                Row(
                    "memory",
                    f"{kind}: the most memory of its process while {images:,} photographs went through",
                    f"after the first {FIRST}",
                    f"{most / MIB:.0f} MiB",
                    f"{base / MIB:.0f} MiB",
                    value,
                    value,
                    value,
                    BAR,
                    at_most=True,
                    note=f"On the way, {steps}",
                )
            )
        return rows


if __name__ == "__main__":
    main()
