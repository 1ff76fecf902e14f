"""What reading a large job costs: exports in every form, pages of ranked faces, a comparison, from a served API.

python -m benchmarks.export [FACES]

PostgreSQL and the API run as processes of their own, as in production. Rows are put there by COPY, a face to an image,
with a caption of thirty words and what each of them adds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter, sleep
from uuid import UUID, uuid4

import httpx
import numpy as np
import psutil
import psycopg
from psycopg.types.json import Jsonb

from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Supervisor
from shared.database.migrate import upgrade
from shared.memorability.catalogue import find

PORT = 8471
LABEL = "all of it"  # a set is not compared with itself by its id
MIB = 1024 * 1024
WORDS = [f"word{number}" for number in range(30)]
IMAGES = "copy images (job_id, position, name, custom_id, stage, state) from stdin"
FACES = """
    copy faces (image_id, job_id, position, box, crop_box, landmarks, confidence, flags, caption, captioner, score,
        uncertainty, percentile, bundle) from stdin
"""
WHY = """
    insert into explanations (face_id, logit, constant, words, rows, columns, contributions, attention)
    select id, 0, 0, %s, 2, 2, %s, '' from faces where job_id = %s
"""


def main() -> None:
    """Print what each kind of reading took, and the most memory that the API had."""
    faces = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with TemporaryDirectory() as folder, Supervisor() as supervisor:
        home = Path(folder)
        postgres = Postgres(home / "cluster", socket_folder(home / "sockets"), home / "postgres.log")
        postgres.start(supervisor)
        redis = Redis(home, home / "redis.log")
        redis.start(supervisor)
        upgrade(postgres.url())
        began = perf_counter()
        with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=False) as connection:
            job = fill(connection, faces)
        with psycopg.connect(postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("vacuum analyze")
        print(f"{faces:,} faces put there in {perf_counter() - began:.0f} s", flush=True)
        with served(postgres.url(), redis.url(0), home) as (client, process):
            for form in ("jsonl", "csv", "xlsx"):
                export(client, process, job, form)
            for order in ("-score", "position"):
                ranked(client, process, job, order)
            timed(client, process, "compare", "POST", "/v1/compare", json={"a": {"job": job}, "b": {"label": LABEL}})


def fill(connection: psycopg.Connection, faces: int) -> str:
    """A completed job of so many images with one scored face each."""
    job, digest, rng = uuid4(), find("compact").digest, np.random.default_rng(1)
    caption = " ".join(WORDS)
    words = [
        {"text": word, "start": n, "end": n + 3, "contribution": (-1) ** n / (n + 3)} for n, word in enumerate(WORDS)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into jobs (id, captioner, bundle, state, finished_at, labels)
            values (%s, 'describer', %s, 'completed', now(), %s)
            """,
            (job, digest, [LABEL]),
        )
        with cursor.copy(IMAGES) as copy:
            for n in range(faces):
                copy.write_row((job, n, f"photographs/IMG_{n:07}.jpg", f"sku-{n}", "scoring", "succeeded"))
        ids = cursor.execute("select id from images where job_id = %s order by position", (job,)).fetchall()
        with cursor.copy(FACES) as copy:
            where = ([10.5, 20.5, 110.5, 140.5], [0.0] * 4, [0.0] * 10, 0.99, ["small"], caption, Jsonb({"name": "d"}))
            for [image] in ids:
                copy.write_row((image, job, 0, *where, float(rng.beta(6, 4)), 0.1, float(rng.uniform(0, 100)), digest))
        cursor.execute(WHY, (Jsonb(words), bytes(16 * len(WORDS)), job))
        cursor.execute("insert into job_counts values (%s, 'scoring', 'succeeded', %s)", (job, faces))
    connection.commit()
    return str(job)


@contextmanager
def served(database: str, broker: str, home: Path) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    """The API as a process, and a client of it."""
    (home / "objects").mkdir()
    settings = {
        "DATABASE_URL": database,
        "BROKER_URL": broker,
        "STORAGE_URL": f"folder:{home / 'objects'}",
        "API_PORT": str(PORT),
    }
    environment = {**os.environ, **{f"FACEMEM_{name}": value for name, value in settings.items()}, "TMPDIR": str(home)}
    process = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment, stdout=subprocess.DEVNULL)
    client = httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=3600)
    try:
        for _ in range(100):
            try:
                client.get("/v1/jobs/" + str(UUID(int=0)))
                break
            except httpx.ConnectError:
                sleep(0.2)
        yield client, psutil.Process(process.pid)
    finally:
        client.close()
        process.terminate()
        process.wait()


def export(client: httpx.Client, process: psutil.Process, job: str, form: str) -> None:
    """One export, read to its end."""
    with watched(process) as peak:
        began, first, size = perf_counter(), None, 0
        with client.stream("GET", f"/v1/jobs/{job}/export", params={"format": form}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_raw():
                first = first or perf_counter() - began
                size += len(chunk)
        took = perf_counter() - began
    print(f"{form:10} {took:7.1f} s, first byte {first:6.2f} s, {size / MIB:6.0f} MiB, {memory(peak)}", flush=True)


def ranked(client: httpx.Client, process: psutil.Process, job: str, order: str) -> None:
    """The first page of ranked faces, and the next one."""
    path, query = f"/v1/jobs/{job}/faces", {"order": order, "limit": "100"}
    answer = timed(client, process, f"faces {order}, first page", "GET", path, params=query)
    timed(client, process, "... next page", "GET", path, params={**query, "cursor": answer["next_cursor"]})


def timed(client: httpx.Client, process: psutil.Process, what: str, method: str, path: str, **request: object) -> dict:
    """A request, done twice: the second time counts."""
    client.request(method, path, **request).raise_for_status()
    with watched(process) as peak:
        began = perf_counter()
        answer = client.request(method, path, **request)
        took = perf_counter() - began
    print(f"{what:30} {1000 * took:7.0f} ms, {memory(peak)}", flush=True)
    return answer.json()


@contextmanager
def watched(process: psutil.Process) -> Iterator[list[int]]:
    """The memory of a process and its children: at the beginning, and the most that there was of it."""
    seen = [rss(process), 0]
    done = Event()

    def look() -> None:
        while not done.wait(0.1):
            seen[1] = max(seen[1], rss(process))

    watcher = Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
        seen[1] = max(seen[1], rss(process))


def rss(process: psutil.Process) -> int:
    """Bytes of memory, in all."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))


def memory(peak: list[int]) -> str:
    """Both in words."""
    return f"{peak[0] / MIB:.0f} MiB before, {peak[1] / MIB:.0f} MiB at most"


if __name__ == "__main__":
    main()
