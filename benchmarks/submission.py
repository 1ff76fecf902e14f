"""What taking in large submissions costs the API: time until the 202, and the most memory that its process ever has.

A manifest of 100,000 lines in each form and a zip of 10,000 files, sent to a served API (granian) over loopback, with
a real PostgreSQL and a folder for objects. Linux only.

python -m benchmarks.submission [LINES]
"""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
import psutil

from benchmarks.served import MIB, forget_peak, peak, pieces, served, serving

LINES = 100_000
FILES = 10_000
FILE_BYTES = 20_000
TIMEOUT = httpx.Timeout(600.0)


def main() -> None:
    """Print a table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else LINES
    with TemporaryDirectory() as folder, served(Path(folder)) as system:
        url, api = system.url, serving(system.api)
        print(f"{'submission':<28}{'MiB sent':>10}{'seconds':>10}{'MiB before':>12}{'MiB at most':>13}")
        report("ten lines of JSON, first", url, api, manifest_json(Path(folder), 10), "application/json", 10)
        for form, (make, media_type) in MANIFESTS.items():
            report(f"{lines:,} lines of {form}", url, api, make(Path(folder), lines), media_type, lines)
        if lines == LINES:
            report(f"zip of {FILES:,} files", url, api, archive(Path(folder)), "application/zip", FILES)


def report(what: str, url: str, api: psutil.Process, body: Path, media_type: str, images: int) -> None:
    """Send one submission and print what it cost."""
    before = api.memory_info().rss
    forget_peak(api)
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
    print(f"{what:<28}{size / MIB:>10.1f}{seconds:>10.1f}{before / MIB:>12.0f}{peak(api) / MIB:>13.0f}", flush=True)


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
