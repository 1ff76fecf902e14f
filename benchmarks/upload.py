"""Sending photographs to the API as one form of many files, against sending the same body to a route that writes it
to the same kind of storage as it comes; and whether a large form takes more memory than a small one.

The route is served like the API, by the same server with the same threads. It writes one object, and looks at nothing;
the API writes an object for each file, digests it, counts it and commits a job. How long digesting and storing take by
themselves is told beside it. Linux only.

python -m benchmarks.upload [--quick] [--json]
"""

import hashlib
import http.client
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
from flask import Flask, request

from benchmarks.measure import Row, arguments, side_by_side, tell
from benchmarks.served import HOST, MIB, Served, forget_peak, peak, served, serving
from services.api.__main__ import THREADS
from shared.settings import settings
from shared.storage import keys
from shared.storage.folder import FolderObjects
from shared.storage.objects import open_objects

SPEED_BAR, MEMORY_BAR = 0.5, 1.05
SENT_MIB, QUICK_SENT_MIB = 256, 64
SMALL_MIB, LARGE_MIB, QUICK_LARGE_MIB = 16, 1024, 128
PAIRS, QUICK_PAIRS = 5, 2
FILE_BYTES = 200_000
JPEG = b"\xff\xd8\xff\xe0"
BOUNDARY = "photographs-follow"
PIECE_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 600.0


def main() -> None:
    """Print how fast both are, and what memory the API takes."""
    asked = arguments(__doc__)
    sent, large, pairs = (QUICK_SENT_MIB, QUICK_LARGE_MIB, QUICK_PAIRS) if asked.quick else (SENT_MIB, LARGE_MIB, PAIRS)
    with TemporaryDirectory() as folder, served(Path(folder)) as system:
        # First, because a process keeps what it once had.
        rows = [memory(system, Path(folder), large), speed(system, Path(folder), sent, pairs)]
    tell(rows[::-1], asked.json, ("granian", "flask", "werkzeug"))


def speed(system: Served, folder: Path, mib: int, pairs: int) -> Row:
    """The same bytes by turns as a form to the API and to the route."""
    body, files = form(folder, mib)
    peer = system.beside("raw", raw_server, "/")
    took = side_by_side(lambda: submit(system.url, body, files), lambda: put(peer, body), pairs)
    alone = min(stored_alone(system.objects, body, files) for _ in range(pairs))
    return Row(
        "upload",
        f"{files:,} files of {FILE_BYTES // 1000} KB in one form",
        "the same bytes as one body, written as they come",
        f"{mib / took.ours_seconds:.0f} MiB a second",
        f"{mib / took.peer_seconds:.0f}",
        took.ratio,
        took.low,
        took.high,
        SPEED_BAR,
        note="Into a folder, over loopback, until the answer; client, server and database on the same cores. The route "
        f"took {took.peer_seconds:.2f} s; one thread that digests and stores these files, and receives nothing, "
        f"{alone:.2f} s",
    )


def stored_alone(folder: Path, body: Path, files: int) -> float:
    """Seconds that digesting as many files from memory, and storing them as the API does, takes without any request.
    Each waits for the one before, so that none waits for a lock.
    """
    objects, job = FolderObjects(folder), uuid4()
    with body.open("rb") as file:
        contents = [file.read(FILE_BYTES) for _ in range(files)]
    began = perf_counter()
    for content in contents:
        hashlib.sha256(content).digest()
        objects.put(keys.original(job, uuid4()), content)
    seconds = perf_counter() - began
    objects.clear(keys.originals(job))
    return seconds


def memory(system: Served, folder: Path, mib: int) -> Row:
    """The most that the serving process has during a large form, against a small one before it."""
    process = serving(system.api)
    small = most(system, process, folder, SMALL_MIB)
    found = most(system, process, folder, mib)
    return Row(
        "upload",
        f"the most memory that the API has during a form of {mib:,} MiB",
        f"during its first one, of {SMALL_MIB} MiB",
        f"{found / MIB:.0f} MiB",
        f"{small / MIB:.0f} MiB",
        found / small,
        found / small,
        found / small,
        MEMORY_BAR,
        at_most=True,
    )


def most(system: Served, process: psutil.Process, folder: Path, mib: int) -> int:
    """The most bytes of memory that the process has while a form is sent."""
    body, files = form(folder, mib)
    forget_peak(process)
    submit(system.url, body, files)
    return peak(process)


def form(folder: Path, mib: int) -> tuple[Path, int]:
    """A form of about so many MiB in a file, and how many files it has. Nothing in them can be compressed or reused."""
    path, files = folder / "form", round(mib * MIB / FILE_BYTES)
    with path.open("wb") as body:
        for number in range(files):
            body.write(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; '.encode())
            body.write(f'filename="{number:06}.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'.encode())
            body.write(JPEG + os.urandom(FILE_BYTES - len(JPEG)) + b"\r\n")
        body.write(f"--{BOUNDARY}--\r\n".encode())
    return path, files


def submit(url: str, body: Path, files: int) -> None:
    """Send a form to the API. Raises RuntimeError unless it is a job of so many images then."""
    job = json.loads(send(url, "POST", "/v1/jobs", f"multipart/form-data; boundary={BOUNDARY}", body))
    if (job["images"], job["counts"]["ready"]) != (files, files):
        raise RuntimeError(f"{job['images']} images, {job['counts']}")


def put(url: str, body: Path) -> None:
    """Send the same bytes to the route. Raises RuntimeError unless it stored them all."""
    stored = json.loads(send(url, "PUT", "/raw", "application/octet-stream", body))
    if stored["bytes"] != body.stat().st_size:
        raise RuntimeError(f"{stored['bytes']} bytes were stored")


def send(url: str, method: str, path: str, media_type: str, body: Path) -> bytes:
    """One request with a file as its body, in large pieces, and its answer."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(HOST, place.port, TIMEOUT_SECONDS, blocksize=PIECE_BYTES)
    headers = {"Content-Type": media_type, "Content-Length": str(body.stat().st_size)}
    try:
        with body.open("rb") as file:
            connection.request(method, path, file, headers)
            answer = connection.getresponse()
            told = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{answer.status}: {told.decode(errors='replace')}")
    return told


def raw_server(port: int) -> list[str]:
    """The route below, served as services/api/__main__.py serves the API."""
    options = ["--interface", "wsgi", "--factory", "--no-ws", "--blocking-threads", str(THREADS), "--workers", "1"]
    return [sys.executable, "-m", "granian", *options, "--host", HOST, "--port", str(port), "benchmarks.upload:raw"]


def raw() -> Flask:
    """An application that writes a body into the storage that the settings name, as it comes."""
    app, objects = Flask("raw"), open_objects(settings())

    @app.get("/")
    def ready() -> str:
        return "ready"

    @app.put("/raw")
    def store() -> dict[str, int]:
        key = f"raw/{uuid4()}"
        objects.put(key, request.stream)  # type: ignore[arg-type]
        return {"bytes": objects.size(key)}

    return app


if __name__ == "__main__":
    main()
