"""Two machines share the work and nothing else: one is frozen, the other is killed, and all is done.

A machine is a set of worker processes with folders of its own, no variable of ours but those of one environment file,
and no way to database, broker or storage but over the network. Its name is the one line that differs. Ten workers that
load models would take minutes to start, so detection, embedding and scoring are those of the torture suite: they store
and write what the real ones do, and compute nothing. (The real ones are killed in `test_killed_workers.py`.)
"""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from services.local.postgres import SOCKET_NAME, Postgres
from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Stage
from tests.browser import browser_page
from tests.compose import ROOT
from tests.kept import kept
from tests.photo_server import photo_server
from tests.photographs import portraits
from tests.relay import Relay
from tests.system.conftest import Running, Start, wait_until
from tests.system.test_killed_workers import IMAGES, IMPATIENT, assert_nothing_lost_or_doubled, lost_at, slow_photos
from tests.torture.stand_ins import BUILD

PATIENCE = 120.0
IN_HAND = 8  # images at a time of the two intake workers, two batches of two each: both have some
EACH_PHOTO_SECONDS = 1.5


@pytest.fixture
def database_url(database_url: str, postgres_server: Postgres) -> Iterator[str]:
    """Over TCP: a socket in a folder is no network."""
    with Relay(str(postgres_server.sockets / SOCKET_NAME)) as door:
        over_tcp = make_url(database_url).set(host="127.0.0.1", port=door.port, query={})
        yield over_tcp.render_as_string(hide_password=False)


def argv_of(machine: str, environment_file: Path, folder: Path, code: Path = ROOT) -> list[str]:
    """How a module of a version's code is run on a machine; the module's name comes next."""
    variables = [*environment_file.read_text().splitlines(), f"FACEMEM_MACHINE={machine}"]
    variables += [f"PATH={os.environ['PATH']}", f"PYTHONPATH={code}", f"HOME={folder}", f"TMPDIR={folder}"]
    # -i: no variable of this process comes along.
    return ["env", "-i", f"--chdir={folder}", *variables, sys.executable, "-P", "-m"]


@contextmanager
def machine(name: str, environment_file: Path, folder: Path) -> Iterator[dict[Stage, psutil.Process]]:
    """A worker of each kind, with nothing but the environment file and a folder of its own, which goes with it."""
    folder.mkdir()
    with Supervisor() as supervisor:
        for stage in Stage:
            argv = argv_of(name, environment_file, folder)
            argv += ["tests.torture.stand_ins", str(stage)] if stage in BUILD else [f"workers.{stage}"]
            supervisor.start(Process(str(stage), [*argv, "--name", f"{stage}-1"], folder / f"{stage}.log"))
        pids = supervisor.pids()
        workers = {stage: psutil.Process(pids[stage]) for stage in Stage}
        try:
            yield workers
        finally:
            for worker in workers.values():
                if worker.is_running():
                    worker.resume()
    shutil.rmtree(folder)


def login(running: Running) -> tuple[str, str]:
    user, password = running.system.flower_login.removeprefix("user ").split(", password ")
    return user, password


def flower(running: Running, page: str) -> httpx.Response:
    return httpx.get(f"{running.system.flower_url}{page}", auth=login(running), timeout=60).raise_for_status()


def show(running: Running, job: UUID, done: dict[str, dict[str, object]]) -> None:
    """Leave for people to look at what Flower shows, and what each machine did."""
    user, password = login(running)
    with browser_page(http_credentials={"username": user, "password": password}) as page:
        page.goto(f"{running.system.flower_url}/workers")
        page.get_by_text("intake-1@tokyo").first.wait_for()
        page.screenshot(path=kept("two-machines.png"))
    lost = "select count(*) from attempts join images on image_id = images.id where job_id = :job"
    lines = [
        f"{running.client.job(job).counts['succeeded']} of {IMAGES} images succeeded, one result each; "
        f"{running.scalar(lost, job=job)} attempts were lost with their workers.",
        "",
        "| worker | messages that it took | of these ended well |",
        "|---|---|---|",
        *(
            f"| {name} | {each.get('task-received') or 0} | {each.get('task-succeeded') or 0} |"
            for name, each in sorted(done.items())
        ),
    ]
    kept("two-machines.md").write_text("\n".join(lines) + "\n")


def at_intake(running: Running, job: UUID) -> int:
    query = "select count(*) from images where state = 'running' and stage = 'intake' and job_id = :job"
    return int(str(running.scalar(query, job=job)))


def write_environment(running: Running, file: Path) -> None:
    settings = {
        **IMPATIENT,
        "database_url": running.database.url.render_as_string(hide_password=False),
        "broker_url": running.broker_url,
        "storage_url": running.bucket.storage_url,
        "s3_endpoint": running.bucket.s3_endpoint,
        "s3_access_key": running.bucket.s3_access_key,
        "s3_secret_key": running.bucket.s3_secret_key,
        "captioner": "describer",
        "threads": "1",
    }
    file.write_text("".join(f"FACEMEM_{name.upper()}={value}\n" for name, value in settings.items()))


@pytest.mark.timeout(600)
def test_one_is_frozen_and_one_is_killed_and_all_is_done(start: Start, tmp_path: Path) -> None:
    nobody = dict.fromkeys(map(str, Stage), 0)
    with photo_server(slow_photos(EACH_PHOTO_SECONDS)) as photos, start(workers=nobody, **IMPATIENT) as running:
        write_environment(running, tmp_path / "facemem.env")
        with (
            machine("berlin", tmp_path / "facemem.env", tmp_path / "berlin") as berlin,
            machine("tokyo", tmp_path / "facemem.env", tmp_path / "tokyo") as tokyo,
        ):
            everybody = {f"{stage}-1@{place}" for stage in Stage for place in ("berlin", "tokyo")}
            wait_until(lambda: set(flower(running, "/api/workers?status=1").json()) == everybody, PATIENCE)

            job = running.client.submit_links([f"{photos}/{name}?" for name, _ in portraits(IMAGES)]).id
            wait_until(lambda: at_intake(running, job) >= IN_HAND, PATIENCE)
            signal_all(berlin, signal.SIGSTOP)
            wait_until(lambda: lost_at(running, "intake") > 0, PATIENCE)
            in_hand = killed_in_mid_job(running, job, tokyo)
            signal_all(berlin, signal.SIGCONT)
            *_, last = running.client.watch(job)
            assert last.state == "completed"
            assert_nothing_lost_or_doubled(running, job)
            lost = "select count(*) from attempts where reason = 'worker_lost' and image_id = any(:images)"
            assert running.scalar(lost, images=in_hand), "the kill hit nothing"

            done = {each["hostname"]: each for each in flower(running, "/workers?json=1").json()["data"]}
            assert set(done) == everybody
            for place in ("berlin", "tokyo"):
                assert done[f"intake-1@{place}"]["task-received"] > 0, f"{place} did nothing"
                assert f"intake-1@{place}" in flower(running, "/workers").text
            show(running, job, done)


def killed_in_mid_job(running: Running, job: UUID, workers: dict[Stage, psutil.Process]) -> list[int]:
    """End all of a machine's workers at a moment when they have images in hand, and say which."""
    held: list[int] = []
    query = text("select id from images where job_id = :job and state = 'running' and lease_expires_at > now()")

    def caught() -> bool:
        signal_all(workers, signal.SIGSTOP)  # so that they still have them when they are killed
        with running.database.connect() as connection:
            held.extend(connection.execute(query, {"job": job}).scalars())
        if not held:
            signal_all(workers, signal.SIGCONT)
        return bool(held)

    wait_until(caught, PATIENCE)
    signal_all(workers, signal.SIGKILL)
    return held


def signal_all(workers: dict[Stage, psutil.Process], number: signal.Signals) -> None:
    for worker in workers.values():
        worker.send_signal(number)
