"""What taking in large submissions costs the API: time until the 202, and the most memory that its process ever has.

A manifest of 100,000 lines in each form and a zip of 10,000 files, sent to a served API (granian) over loopback, with
a real PostgreSQL and a folder for objects. Linux only.

python -m benchmarks.submission [LINES]
"""

import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
import psutil

from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis, free_port
from services.local.supervisor import Process, Supervisor
from shared.database.migrate import upgrade

LINES = 100_000
FILES = 10_000
FILE_BYTES = 20_000
MIB = 1024 * 1024
READY_SECONDS = 60.0
TIMEOUT = httpx.Timeout(600.0)


def main() -> None:
    """Print a table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    with TemporaryDirectory() as folder, served(Path(folder)) as (url, api):
        wait_for(url)
        print(f"{'submission':<28}{'MiB sent':>10}{'seconds':>10}{'MiB before':>12}{'MiB at most':>13}")
        report("ten lines of JSON, first", url, api, manifest_json(Path(folder), 10), "application/json", 10)
        for form, (make, media_type) in MANIFESTS.items():
            report(f"{lines:,} lines of {form}", url, api, make(Path(folder), lines), media_type, lines)
        if lines == LINES:
            report(f"zip of {FILES:,} files", url, api, archive(Path(folder)), "application/zip", FILES)


class served:  # noqa: N801 - used as a function
    """A database, a broker and the API on them, as long as the block lasts: its address and its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor = Supervisor()

    def __enter__(self) -> tuple[str, psutil.Process]:
        self.supervisor.__enter__()
        logs = self.folder / "logs"
        logs.mkdir()
        sockets = socket_folder(self.folder / "sockets")
        database = Postgres(self.folder / "postgres", sockets, logs / "postgres.log").start(self.supervisor)
        broker = Redis(self.folder, logs / "redis.log").start(self.supervisor)
        upgrade(database)
        port = free_port("127.0.0.1", 8400)
        environment = {
            "FACEMEM_DATABASE_URL": database,
            "FACEMEM_BROKER_URL": broker,
            "FACEMEM_STORAGE_URL": f"folder:{self.folder / 'objects'}",
            "FACEMEM_API_PORT": str(port),
        }
        self.supervisor.start(Process("api", [sys.executable, "-m", "services.api"], logs / "api.log", environment))
        return f"http://127.0.0.1:{port}", psutil.Process(self.supervisor.pids()["api"])

    def __exit__(self, *error: object) -> None:
        self.supervisor.__exit__(*error)


def wait_for(url: str) -> None:
    """Return when the API answers."""
    until = perf_counter() + READY_SECONDS
    while perf_counter() < until:
        try:
            httpx.get(f"{url}/readyz").raise_for_status()
        except httpx.HTTPError:
            continue
        return
    raise TimeoutError("the API did not become ready")


def report(what: str, url: str, api: psutil.Process, body: Path, media_type: str, images: int) -> None:
    """Send one submission and print what it cost."""
    serving = max(api.children(recursive=True), key=lambda process: process.memory_info().rss)
    before = serving.memory_info().rss
    Path(f"/proc/{serving.pid}/clear_refs").write_text("5")  # the peak begins anew
    size = body.stat().st_size
    headers = {"Content-Type": media_type, "Content-Length": str(size)}
    began = perf_counter()
    answer = httpx.post(f"{url}/v1/jobs", content=pieces(body), headers=headers, timeout=TIMEOUT)
    seconds = perf_counter() - began
    answer.raise_for_status()
    job = answer.json()
    if (job["images"], job["counts"]["ready"]) != (images, images):
        raise RuntimeError(f"{what}: {job['images']} images, {job['counts']}")
    body.unlink()
    print(f"{what:<28}{size / MIB:>10.1f}{seconds:>10.1f}{before / MIB:>12.0f}{peak(serving) / MIB:>13.0f}", flush=True)


def peak(process: psutil.Process) -> int:
    """The most bytes of memory that a process has had since `clear_refs`."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def pieces(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece


def manifest_lines(folder: Path, lines: int) -> Path:
    """JSON lines with an id and metadata each."""
    path = folder / "manifest.jsonl"
    with path.open("w") as file:
        file.writelines(f"{line(number)}\n" for number in range(lines))
    return path


def manifest_json(folder: Path, lines: int) -> Path:
    """The same as one document, with its options at the end."""
    path = folder / "manifest.json"
    with path.open("w") as file:
        file.write('{"images": [')
        file.writelines(("," if number else "") + line(number) for number in range(lines))
        file.write('], "name": "benchmark"}')
    return path


def manifest_csv(folder: Path, lines: int) -> Path:
    """The same as CSV."""
    path = folder / "manifest.csv"
    with path.open("w") as file:
        file.write("url,custom_id,row\n")
        file.writelines(
            f"https://example.org/archive/2024/{number:07}.jpg,a-{number},{number}\n" for number in range(lines)
        )
    return path


def line(number: int) -> str:
    link = f"https://example.org/archive/2024/{number:07}.jpg"
    return f'{{"url": "{link}", "custom_id": "a-{number}", "metadata": {{"row": {number}}}}}'


def archive(folder: Path) -> Path:
    """A zip of files that cannot be compressed, as photographs cannot."""
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(FILES):
            file.writestr(f"{number:05}.jpg", os.urandom(FILE_BYTES))
    return path


MANIFESTS: dict[str, tuple[Callable[[Path, int], Path], str]] = {
    "JSON lines": (manifest_lines, "application/jsonl"),
    "CSV": (manifest_csv, "text/csv"),
    "JSON": (manifest_json, "application/json"),
}


if __name__ == "__main__":
    main()
