"""Jobs are deleted in mid-run and after their end: of nothing that was planted in them is anything left anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from struct import pack
from time import sleep
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image

from services.local.postgres import Postgres
from services.local.redis import Redis
from tests.ollama_server import OllamaServer
from tests.photo_server import photo_server
from tests.photographs import portraits
from tests.system.conftest import Running, Start, wait_until
from tests.system.traces import Search

IMAGES = 36
# The end of the time in which a worker may have something in hand comes within the test's patience.
SOON_FINAL = {"max_run_seconds": "20", "run_lease_seconds": "3", "fetch_private_addresses": "true"}
CAPTION = "The face of a {} person has curly red hair and a broad smile, seen in soft light."
ARTIST, GPS_FOLDER, GPS_LATITUDE = 0x013B, 0x8825, 2


class Plants:
    """What is planted in one set: words and bytes that occur nowhere else."""

    def __init__(self) -> None:
        mark = uuid4().hex
        self.artist = f"Zephyrine Quillfeather {mark[:6]}"
        self.bytes = b"\x07planted\xff" + uuid4().bytes
        self.seconds = Fraction(40_000_000 + int(mark[:4], 16), 999_983)
        self.file = f"quokka-{mark[:8]}"
        self.custom_id = f"customer-{mark[8:16]}"
        self.metadata = f"wombat-{mark[16:24]}"
        self.job = f"campaign-{mark[24:]}"
        self.label = f"label-{mark[4:12]}"
        self.key = f"idempotency-{mark[12:20]}"

    def photographs(self, number: int) -> list[tuple[str, bytes]]:
        """Portraits with a name and a place in their EXIF, bytes after their end, and planted file names."""
        return [
            (f"{self.file}-{place}.jpg", self._planted(content)) for place, (_, content) in enumerate(portraits(number))
        ]

    def _planted(self, content: bytes) -> bytes:
        image = Image.open(BytesIO(content))
        exif = image.getexif()
        exif[ARTIST] = self.artist
        exif.get_ifd(GPS_FOLDER)[GPS_LATITUDE] = (48, 51, self.seconds)
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=92, exif=exif)
        return buffer.getvalue() + self.bytes

    def options(self) -> dict[str, Any]:
        return {"name": self.job, "metadata": {"order": self.metadata}, "labels": [self.label], "captioner": "ollama"}

    def named(self, set_name: str) -> dict[str, bytes]:
        """All that is to be looked for, by what it is."""
        order = ">" if self._planted(portraits(1)[0][1])[6:].find(b"Exif\0\0MM") >= 0 else "<"
        latitude = pack(f"{order}II", self.seconds.numerator, self.seconds.denominator)
        words = {
            "artist": self.artist,
            "file name": self.file,
            "custom id": self.custom_id,
            "metadata": self.metadata,
            "job name": self.job,
            "label": self.label,
            "idempotency key": self.key,
        }
        planted = {name: word.encode() for name, word in words.items()} | {"bytes": self.bytes, "place": latitude}
        return {f"{set_name}: {name}": each for name, each in planted.items()}


@contextmanager
def served(photographs: list[tuple[str, bytes]]) -> Iterator[str]:
    """A web server that takes a second for each of these photographs."""
    content = dict(photographs)

    def slow_photo(path: str) -> bytes:
        sleep(1)
        return content[path.strip("/")]

    with photo_server(slow_photo) as url:
        yield url


def submit_links(running: Running, plants: Plants, links: list[str]) -> str:
    images = [
        {"url": link, "custom_id": f"{plants.custom_id}-{place}", "metadata": {"row": plants.metadata}}
        for place, link in enumerate(links)
    ]
    answer = httpx.post(
        f"{running.url}/v1/jobs",
        json={**plants.options(), "images": images},
        headers={"Idempotency-Key": plants.key},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def submit_files(running: Running, plants: Plants) -> str:
    files = [("images", (name, content, "image/jpeg")) for name, content in plants.photographs(3)]
    fields = {"name": plants.job, "metadata": f'{{"order": "{plants.metadata}"}}', "labels": plants.label}
    answer = httpx.post(
        f"{running.url}/v1/jobs",
        data={**fields, "captioner": "ollama"},
        files=files,
        headers={"Idempotency-Key": plants.key},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def submit_uploads(running: Running, plants: Plants) -> str:
    """Direct uploads, of which intake has moved few when their job is deleted: it is paused, or it might have ended."""
    photographs = plants.photographs(6)
    files = [{"name": name, "size": len(content), "media_type": "image/jpeg"} for name, content in photographs]
    answer = httpx.post(f"{running.url}/v1/uploads", json={"files": files}, timeout=30)
    assert answer.status_code in (200, 201), answer.text
    uploads = answer.json()["uploads"]
    for upload, (_, content) in zip(uploads, photographs, strict=True):
        put = upload["put"]
        assert httpx.put(put["url"], content=content, headers=put["headers"]).status_code < 300
    job = submit_links(running, plants, [upload["url"] for upload in uploads])
    told(running, job, "pause")
    return job


def told(running: Running, job: str, what: str) -> None:
    answer = httpx.post(f"{running.url}/v1/jobs/{job}/{what}", timeout=30)
    assert answer.status_code == 200, answer.text


def deleted(running: Running, what: str) -> str:
    answer = httpx.delete(f"{running.url}/v1/{what}", timeout=30)
    assert answer.status_code == 202, answer.text
    assert httpx.delete(f"{running.url}/v1/{what}", timeout=30).status_code == 404
    return answer.headers["Location"]


def await_mid_run(running: Running, job: str) -> None:
    """Until images of the job are at three stages or more, of which some have ended and some are being worked on."""
    query = """
        select count(distinct stage) >= 3 and bool_or(state = 'succeeded') and bool_or(state = 'running')
        from images where job_id = :job
    """
    wait_until(lambda: bool(running.scalar(query, job=job)), seconds=90)


def await_running(running: Running, job: str) -> None:
    query = "select bool_or(state = 'running') from images where job_id = :job"
    wait_until(lambda: bool(running.scalar(query, job=job)), seconds=90)


def await_final(running: Running, receipts: list[str]) -> None:
    def final() -> bool:
        return all(httpx.get(f"{running.url}{receipt}", timeout=30).json()["final"] for receipt in receipts)

    wait_until(final, seconds=120)


@pytest.mark.timeout(600)
def test_nothing_is_left_of_deleted_jobs(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: Redis, postgres_server: Postgres
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    running_set, ended_set, uploaded_set = Plants(), Plants(), Plants()
    word = f"marmalade{uuid4().hex[:6]}"
    search = Search(
        {
            **running_set.named("in mid-run"),
            **ended_set.named("ended"),
            **uploaded_set.named("uploaded"),
            "caption": word.encode(),
        }
    )
    folders = [tmp_path, Path(redis_server.folder)]
    photographs = running_set.photographs(IMAGES)
    with served(photographs) as photos, OllamaServer() as ollama:
        ollama.answer = CAPTION.format(word)
        with start(**SOON_FINAL, ollama_url=ollama.url) as running:
            ended = submit_files(running, ended_set)
            wait_until(lambda: httpx.get(f"{running.url}/v1/jobs/{ended}").json()["state"] == "completed", 90)
            ollama.seconds = 0.3
            job = submit_links(running, running_set, [f"{photos}/{name}" for name, _ in photographs])
            await_mid_run(running, job)
            told(running, job, "pause")  # or it might end, and its originals be gone, before they are looked for
            uploaded = submit_uploads(running, uploaded_set)
            gone = {"ended: artist", "ended: bytes", "ended: place", "ended: custom id"}
            missing = set(search.names) - gone
            for _ in range(3):  # it looks at one place after the other, and an upload may just be moved between two
                missing -= set().union(*search.everywhere(running, folders).values())
            assert missing == set(), "the search finds what is there"

            told(running, job, "resume")
            await_running(running, job)
            image = running.scalar("select min(id) from images where job_id = :job", job=ended)
            receipts = [deleted(running, f"images/{image}"), deleted(running, f"jobs/{uploaded}")]
            receipts += [deleted(running, f"jobs/{job}"), deleted(running, f"jobs/{ended}")]
            await_final(running, receipts)
            assert search.everywhere(running, folders) == {}
            assert running.stored() == []
            assert running.scalar("select count(*) from images") == 0
            assert running.scalar("select count(*) from deletions") == 4
            check_the_system_goes_on(running)
    assert search.in_(Path(postgres_server.log).read_bytes()) == set()


def check_the_system_goes_on(running: Running) -> None:
    """The workers that had the deleted work in hand take on other work."""
    job = submit_files(running, Plants())
    wait_until(lambda: httpx.get(f"{running.url}/v1/jobs/{job}").json()["state"] == "completed", 90)
    assert httpx.get(f"{running.url}/v1/jobs/{job}").json()["counts"]["succeeded"] == 3
