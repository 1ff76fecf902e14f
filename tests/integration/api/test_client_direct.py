"""The client puts folders straight into storage, against the real API: nothing is sent twice, whatever happens."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from werkzeug.serving import make_server

from services.api.factory import create_app
from services.client import ApiError, Facemem
from shared.settings import Settings

MOST_BYTES = 5000
CLIENT = """
import sys
from pathlib import Path
from services.client import Facemem
print(Facemem(sys.argv[1]).submit_folder(Path(sys.argv[2]), threads=2, labels=["spring"]).id)
"""


class Watched:
    """The API, with an eye on what is put into storage, and a hand on when and whether it answers."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.stored: list[str] = []
        self.seconds = 0.0
        self.forget_submissions = 0
        self.url = ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method == "PUT":
            sleep(self.seconds)
            return self._app(environ, self._noting(path, start_response))
        if (method, path) == ("POST", "/v1/jobs") and self.forget_submissions:
            self.forget_submissions -= 1
            list(self._app(environ, lambda *_: None))
            start_response("500 Internal Server Error", [])
            return [b"The answer is lost."]
        return self._app(environ, start_response)

    def _noting(self, path: str, start_response: Callable[..., Any]) -> Callable[..., Any]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if status.startswith("2"):
                self.stored.append(path)
            return start_response(status, headers, *more)

        return start


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_file_bytes": MOST_BYTES, "max_images_per_job": 100})


@pytest.fixture
def api(settings: Settings) -> Iterator[Watched]:
    app = create_app(settings)
    watched = Watched(app)
    server = make_server("127.0.0.1", 0, watched, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    watched.url = f"http://127.0.0.1:{server.port}"
    yield watched
    server.shutdown()
    thread.join()
    app.extensions["facemem"].database.dispose()


@pytest.fixture
def facemem(api: Watched) -> Iterator[Facemem]:
    with Facemem(api.url) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shoot"
    for number in range(40):
        path = made / f"day-{number % 2}" / f"{number:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff" + os.urandom(1000))
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


def test_a_folder_is_one_job_and_is_sent_once(api: Watched, facemem: Facemem, folder: Path) -> None:
    told: list[int] = []
    job = facemem.submit_folder(folder, name="shoot", labels=["spring"], on_upload=told.append)
    assert (job.images, job.name, job.labels) == (40, "shoot", ["spring"])
    assert [image.image for image in facemem.results(job.id)] == names(folder)
    assert (len(api.stored), sum(told)) == (40, 40 * 1003)

    assert facemem.submit_folder(folder, name="shoot", labels=["spring"]).id == job.id
    assert len(api.stored) == 40, "nothing was sent again"
    assert facemem.submit_folder(folder, name="another").id != job.id
    assert facemem.submit_folder(folder, name="shoot", labels=["spring"], idempotency_key="mine").id != job.id


def test_the_same_bytes_are_sent_once_and_are_two_images(api: Watched, facemem: Facemem, folder: Path) -> None:
    one, two = folder / "day-0" / "000.jpg", folder / "day-1" / "copy.jpg"
    two.write_bytes(one.read_bytes())
    assert facemem.submit_folder(folder).images == 41
    assert len(api.stored) == 40


def test_what_no_upload_may_be_is_an_image_that_failed(api: Watched, facemem: Facemem, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("empty.jpg", "large.jpg", "fits.jpg", f"{'long' * 60}.jpg")]
    for path, size in zip(paths, (0, MOST_BYTES + 1, MOST_BYTES, 10), strict=True):
        path.write_bytes(b"-" * size)
    job = facemem.submit_directly(paths, relative_to=tmp_path)
    images = list(facemem.results(job.id))
    assert [image.state == "failed" for image in images] == [True, True, False, False]
    assert [image.image for image in images[:3]] == ["empty.jpg", "large.jpg", "fits.jpg"]
    assert images[3].image.startswith("longlong")
    assert len(api.stored) == 2


def test_a_client_that_is_killed_sends_only_what_is_missing(api: Watched, facemem: Facemem, folder: Path) -> None:
    api.seconds = 0.05
    process = subprocess.Popen([sys.executable, "-c", CLIENT, api.url, str(folder)])
    deadline = monotonic() + 60
    while len(api.stored) < 10:
        assert monotonic() < deadline, "the client never began"
        sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    sleep(0.5)  # what had reached the service is stored all the same
    before = len(api.stored)
    assert before < 40
    assert list(facemem.jobs()) == []

    api.seconds = 0.0
    job = facemem.submit_folder(folder, labels=["spring"])
    assert len(api.stored) - before == 40 - before, "only what was missing"
    assert len(set(api.stored)) == 40
    assert [image.image for image in facemem.results(job.id)] == names(folder)
    print(f"{before} of 40 files were there after kill -9; {len(api.stored) - before} were sent after that")


def test_an_answer_that_is_lost_is_not_a_second_job(api: Watched, facemem: Facemem, folder: Path) -> None:
    api.forget_submissions = 1
    with pytest.raises(ApiError):
        facemem.submit_folder(folder)
    job = facemem.submit_folder(folder)
    assert [each.id for each in facemem.jobs()] == [job.id]
    assert len(api.stored) == 40


def test_a_set_whose_job_was_cancelled_goes_in_anew(api: Watched, facemem: Facemem, folder: Path) -> None:
    first = facemem.submit_folder(folder)
    facemem.cancel(first.id)
    second = facemem.submit_folder(folder)
    assert second.id != first.id
    assert facemem.submit_folder(folder).id == second.id
    kept = facemem.submit_folder(folder, idempotency_key="mine")
    facemem.cancel(kept.id)
    assert facemem.submit_folder(folder, idempotency_key="mine").id == kept.id, "who names a key knows what it wants"


def test_files_of_several_folders_in_several_calls(
    facemem: Facemem, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.client.direct.AT_ONCE", 7)
    job = facemem.submit_folder(folder)
    assert [image.image for image in facemem.results(job.id)] == names(folder)
