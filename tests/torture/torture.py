"""What a fault needs: something to do it to, and the question whether all promises hold afterwards."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep
from typing import TypeVar
from uuid import UUID, uuid4

import psutil
import psycopg
from PIL import Image
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.client import ApiError, Facemem, Unreachable
from services.local.system import answers
from shared.pipeline.celery_app import build
from shared.pipeline.stages import QUEUES
from tests.torture import promises
from tests.torture.machine import Machine
from tests.torture.stand_ins import BREAKS, KILLS
from tests.webhook_receiver import Receiver

Answer = TypeVar("Answer")
AWAY = (SQLAlchemyError, RedisError, psycopg.Error, psutil.Error)  # what a server that is killed answers to us

IMAGES = 24
STATES = "select state, count(*) as images from images group by state"
END_SECONDS = 180.0  # for a job to come to its end; far more than it takes
SETTLE_SECONDS = 30.0  # for what follows the end of a job: tidying, events, a thawed worker that gives up
MAX_ATTEMPTS = 4
LOOK_SECONDS = 0.02
UNACKED, UNACKED_SINCE, RESTORING = "unacked", "unacked_index", "unacked_mutex"  # as kombu calls them


def _picture() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "tan").save(buffer, "JPEG")
    return buffer.getvalue()


PICTURE = _picture()


@dataclass(repr=False)
class Torture:
    """A machine, and what was accepted since it was last looked at."""

    machine: Machine
    receiver: Receiver
    secret: str
    links: str
    folder: Path
    accepted: dict[UUID, int] = field(default_factory=dict)
    doomed: int = 0
    told: set[str] = field(default_factory=set)

    def files(self, rng: random.Random, *, killing: int = 0, breaking: int = 0) -> list[Path]:
        """New images, no two alike; so many kill every worker that looks at them, and so many are broken."""
        kinds = [KILLS] * killing + [BREAKS] * breaking
        kinds += [b""] * (IMAGES - len(kinds))
        rng.shuffle(kinds)
        folder = self.folder / str(uuid4())  # others may be sending theirs
        folder.mkdir(parents=True)
        made = []
        for number, kind in enumerate(kinds):
            path = folder / f"{number:03}.jpg"
            path.write_bytes(PICTURE + uuid4().bytes + kind)
            made.append(path)
        return made

    def submit(self, rng: random.Random, *, killing: int = 0, breaking: int = 0) -> UUID:
        """Submit a job of files, under a key so that it may be sent again. Returns its id when it is accepted."""
        files = self.files(rng, killing=killing, breaking=breaking)
        key = str(uuid4())
        job = self.patiently(lambda client: client.submit(files, idempotency_key=key, captioner="ollama"))
        self.doomed += killing + breaking
        return self.accept(job.id, job.images)

    def submit_links(self) -> UUID:
        """Submit a job of links."""
        links = [f"{self.links}/{number}?{uuid4()}" for number in range(IMAGES)]
        key = str(uuid4())
        job = self.patiently(lambda client: client.submit_links(links, idempotency_key=key, captioner="ollama"))
        return self.accept(job.id, job.images)

    def patiently(self, ask: Callable[[Facemem], Answer]) -> Answer:
        """Ask the API, and again while it is away: what is asked may be asked twice."""
        deadline = monotonic() + END_SECONDS
        while True:
            try:
                with Facemem(self.machine.api_url) as client:
                    return ask(client)
            except (Unreachable, ApiError) as error:
                away = isinstance(error, Unreachable) or error.status >= 500
                if not away or monotonic() > deadline:
                    raise
                sleep(10 * LOOK_SECONDS)

    def accept(self, job: UUID, images: int) -> UUID:
        """Note what the API has accepted."""
        self.accepted[job] = images
        return job

    def until(self, happened: Callable[[], bool], seconds: float = END_SECONDS) -> bool:
        """Wait for something. False if it did not happen in time. A server that is away does not tell."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            with suppress(*AWAY):
                if happened():
                    return True
            sleep(LOOK_SECONDS)
        return False

    def until_running(self, stage: str, job: UUID) -> bool:
        """Wait until a worker of a stage holds images of a job. False if that was over before it was seen."""
        query = """
            select exists (select from images where job_id = :job and stage = :stage and state = 'running'),
                   exists (select from jobs where id = :job and finished_at is not null)
        """

        def seen() -> bool:
            with self.machine.database.connect() as connection:
                running, over = connection.execute(text(query), {"job": job, "stage": stage}).one()
            return bool(running or over)

        return self.until(seen)

    def scalar(self, query: str, **values: object) -> object:
        with self.machine.database.connect() as connection:
            return connection.execute(text(query), values).scalar_one()

    def settle(self) -> None:
        """Wait until every accepted job has come to its end, and nothing follows any more."""
        self.until(lambda: not self.scalar("select count(*) from jobs where finished_at is null"))
        # A delivery that a killed dispatcher had in hand is taken up after minutes: here the time passes at once.
        with self.machine.database.begin() as connection:
            connection.execute(text("update deliveries set next_attempt_at = now() where next_attempt_at is not null"))
            connection.execute(text("update arrivals set seen_at = seen_at - interval '1 day'"))  # nobody submits now
        follows = """
            select (select count(*) from jobs where tidied_at is null)
                 + (select count(*) from deliveries where next_attempt_at is not null)
                 + (select count(*) from arrivals)
        """
        self.until(lambda: not self.scalar(follows) and not self.waiting(), SETTLE_SECONDS)

    def waiting(self) -> int:
        """Messages in the queues."""
        return sum(self.machine.redis.llen(name) for name in QUEUES)

    def in_hands(self) -> int:
        """Messages that workers have and did not acknowledge; those of killed ones among them."""
        return self.machine.redis.hlen(UNACKED)

    def drained(self) -> bool:
        """Whether Redis comes to hold no message, once the time for which dead workers keep theirs has passed."""
        with build(self.machine.broker_url).connection_for_read() as connection:
            restore = connection.default_channel.qos.restore_visible
            self.machine.redis.delete(
                RESTORING
            )  # one that was killed while it did this keeps others from it for minutes

            def over() -> bool:
                for message, _ in self.machine.redis.zrange(UNACKED_SINCE, 0, -1, withscores=True):
                    self.machine.redis.zadd(UNACKED_SINCE, {message: 0}, xx=True)
                restore(interval=1)  # workers do that too, but seldom
                return not self.waiting() and not self.in_hands()

            return self.until(over, SETTLE_SECONDS)

    def broken(self, *, may_fail: bool) -> list[str]:
        """The promises that do not hold, in words. A thawed worker may still be clearing up after itself."""
        deadline = monotonic() + SETTLE_SECONDS
        while (found := self._broken(may_fail)) and monotonic() < deadline:
            sleep(10 * LOOK_SECONDS)
        return found

    def _broken(self, may_fail: bool) -> list[str]:
        while not self.receiver.received.empty():
            received = self.receiver.received.get()
            received.verified(self.secret)
            self.told.add(received.id)
        with self.machine.database.connect() as connection:
            found = promises.broken(
                connection, self.accepted, list(self.machine.objects.keys("")), self.machine.redis, MAX_ATTEMPTS
            )
            events = set(map(str, connection.execute(text("select id from deliveries")).scalars()))
            states = {row.state: row.images for row in connection.execute(text(STATES))}
        found += promises.told("each event arrives, signed", events - self.told)
        if not may_fail:
            good = sum(self.accepted.values()) - self.doomed
            if states.get("succeeded", 0) != good or states.get("failed", 0) != self.doomed:
                found.append(f"what can succeed does, and nothing else: {good} and {self.doomed} expected, is {states}")
        return found

    def forget(self) -> None:
        """Begin anew, with nothing in the database and in storage, and everything there."""
        self.until(lambda: answers(f"{self.machine.api_url}/readyz"))
        with self.machine.database.begin() as connection:
            connection.execute(text("truncate jobs, deliveries, idempotency, deletions, uploads, arrivals cascade"))
        self.machine.objects.clear("")
        rmtree(self.folder, ignore_errors=True)
        self.accepted.clear()
        self.doomed = 0
