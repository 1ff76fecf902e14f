"""What a fault needs: something to do it to, and the question whether all promises hold afterwards."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from time import monotonic, sleep
from typing import TypeVar
from uuid import UUID, uuid4

from PIL import Image
from sqlalchemy import text

from services.client import ApiError, Facemem, Unreachable
from services.local.system import answers
from tests.torture import patience, promises, queues
from tests.torture.machine import Machine
from tests.torture.patience import LOOK_SECONDS, Missed, is_away
from tests.torture.proxy import Fault as Network
from tests.torture.stand_ins import BREAKS, KILLS
from tests.webhook_receiver import Receiver

Answer = TypeVar("Answer")

IMAGES = 24
END_SECONDS = 180.0  # for a job to come to its end; far more than it takes
SETTLE_SECONDS = 30.0  # for what follows the end of a job: tidying, events, a thawed worker that gives up
MEET_SECONDS = 10.0  # for somebody to meet what is done to the way to a server
MAX_ATTEMPTS = 4


def _picture() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "tan").save(buffer, "JPEG")
    return buffer.getvalue()


PICTURE = _picture()


@dataclass(repr=False)
class Torture:
    """A machine, and what was accepted since it was last looked at.

    doomed: how many of the accepted images cannot succeed. told: the ids of the events that arrived. met: what faults
    really met, for the table; a fault that met nothing has shown nothing.
    """

    machine: Machine
    receiver: Receiver
    secret: str
    links: str
    folder: Path
    accepted: dict[UUID, int] = field(default_factory=dict)
    deleted: set[UUID] = field(default_factory=set)
    doomed: int = 0
    told: set[str] = field(default_factory=set)
    met: Counter[str] = field(default_factory=Counter)

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
        job = self.send(files)
        self.doomed += killing + breaking
        return job

    def send(self, files: Sequence[Path]) -> UUID:
        """Submit these files likewise."""
        key = str(uuid4())
        job = self.patiently(lambda client: client.submit(files, idempotency_key=key, captioner="ollama"))
        return self.accept(job.id, job.images)

    @contextmanager
    def submitting(self, *jobs: Sequence[Path]) -> Iterator[None]:
        """Clients submit jobs of these files while the block runs, and as long as it takes until they are accepted."""
        with ThreadPoolExecutor(len(jobs)) as clients:
            submitted = [clients.submit(self.send, files) for files in jobs]
            yield
            for each in submitted:
                each.result()

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
                if not is_away(error) or monotonic() > deadline:
                    raise
                if isinstance(error, ApiError) and error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                    self.met["requests answered 500"] += 1
                sleep(10 * LOOK_SECONDS)

    def accept(self, job: UUID, images: int) -> UUID:
        """Note what the API has accepted."""
        self.accepted[job] = images
        return job

    def removed(self, job: UUID) -> None:
        """Note that an accepted job was deleted."""
        del self.accepted[job]
        self.deleted.add(job)

    def until(self, happened: Callable[[], bool], seconds: float = END_SECONDS) -> bool:
        """Wait for something. False if it did not happen in time. A server that is away does not tell."""
        return patience.until(happened, seconds)

    def mislead(self, server: str, network: Network, seconds: float) -> None:
        """The way to a server is bad for so long, or until something has met that. Raises Missed if nothing does."""
        proxy = self.machine.proxies[server]
        with proxy.fault(network):
            sleep(seconds)
            self.until(lambda: proxy.met > 0, MEET_SECONDS)
        if not proxy.met:
            raise Missed(f"nobody asked {server} meanwhile")
        self.met[f"pieces to and from {server}"] += proxy.met

    def in_hand(self, stage: str, job: UUID) -> Sequence[int]:
        """The images of a job that workers of a stage hold."""
        query = "select id from images where job_id = :job and stage = :stage and state = 'running' order by id"
        with self.machine.database.connect() as connection:
            return connection.execute(text(query), {"job": job, "stage": stage}).scalars().all()

    def over(self, job: UUID) -> bool:
        """Whether a job has come to its end."""
        query = "select not exists (select from jobs where id = :job and finished_at is null)"
        return bool(self.scalar(query, job=job))

    def until_running(self, stage: str, job: UUID) -> bool:
        """Wait until a worker of a stage holds images of a job. False if that was over before it was seen."""
        held: Sequence[int] = ()

        def seen() -> bool:
            nonlocal held
            held = self.in_hand(stage, job)
            return bool(held) or self.over(job)

        return self.until(seen) and bool(held)

    def scalar(self, query: str, **values: object) -> object:
        with self.machine.database.connect() as connection:
            return connection.execute(text(query), values).scalar_one()

    def settle(self, seconds: float = END_SECONDS) -> None:
        """Wait until every accepted job has come to its end, at most for so long, and nothing follows any more."""
        if not self.until(lambda: not self.scalar("select count(*) from jobs where finished_at is null"), seconds):
            return  # what should follow does not either
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
        return queues.waiting(self.machine.redis)

    def drained(self) -> bool:
        """Whether Redis comes to hold no message, once the time for which dead workers keep theirs has passed."""
        return queues.drained(self.machine.redis, self.machine.broker_url, SETTLE_SECONDS)

    def broken(self, *, may_fail: bool, seconds: float = SETTLE_SECONDS) -> list[str]:
        """The promises that do not hold after so long, in words: a thawed worker may still be clearing up."""
        deadline = monotonic() + seconds
        while (found := self._broken(may_fail)) and monotonic() < deadline:
            sleep(10 * LOOK_SECONDS)
        return found

    def _broken(self, may_fail: bool) -> list[str]:
        self.told |= promises.heard(self.receiver.received, self.secret)
        accepted = promises.Accepted(dict(self.accepted), frozenset(self.deleted), self.doomed)
        with self.machine.database.connect() as connection:
            found = promises.broken(
                connection, accepted, list(self.machine.objects.keys("")), self.machine.redis, MAX_ATTEMPTS
            )
            found += promises.unheard(connection, self.told)
            return found if may_fail else found + promises.unsuccessful(connection, accepted)

    def _emptied(self) -> bool:
        with self.machine.database.begin() as connection:
            connection.execute(text("truncate jobs, deliveries, idempotency, deletions, uploads, arrivals cascade"))
        return True

    def forget(self) -> None:
        """Begin anew, with nothing in the database and in storage, and everything there."""
        self.until(lambda: answers(f"{self.machine.api_url}/readyz"))
        # What did not come to its end is still worked on, and may hold what this waits for while it waits for this.
        assert self.until(self._emptied)
        self.machine.objects.clear("")
        rmtree(self.folder, ignore_errors=True)
        self.accepted.clear()
        self.deleted.clear()
        self.doomed = 0
