"""Clients that submit ten times what they may, each with a key of its own, to an API that limits them.

Used by benchmarks.fairness, and by a test: what was answered with 202 is to come to its end, whatever else was refused.
"""

import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep
from uuid import UUID

import httpx
from sqlalchemy import Engine, text

from services.api.keys import stored
from services.api.scopes import Scope
from shared.jobs.states import FINAL, OPEN

OVER = 10
JOB_IMAGES = 20
ENDED_SECONDS = 300.0
# What a client may do in a minute, and a tenant at a time; few, so that a few clients are ten times too many.
SUBMISSIONS, QUEUED_IMAGES = 12, 100


@dataclass
class Answers:
    """What clients were answered: how often each status and code, and the jobs that were accepted.

    untold: refusals for now that did not say when to come again.
    """

    statuses: Counter[tuple[int, str]] = field(default_factory=Counter)
    accepted: list[UUID] = field(default_factory=list)
    untold: int = 0

    @property
    def refused(self) -> int:
        """Those that were told to come again later."""
        return sum(times for (status, _), times in self.statuses.items() if status == 429)

    @property
    def broken(self) -> int:
        """Those that were answered by an error of ours."""
        return sum(times for (status, _), times in self.statuses.items() if status >= 500)

    def add(self, answer: httpx.Response) -> None:
        """Count one."""
        told = answer.json()
        self.statuses[answer.status_code, "" if answer.is_success else told["code"]] += 1
        if answer.status_code == 202:
            self.accepted.append(UUID(told["id"]))
        elif answer.status_code == 429 and int(answer.headers.get("Retry-After", 0)) < 1:
            self.untold += 1


def limited_api(port: int) -> list[str]:
    """The command of an API that asks for keys and limits them."""
    told = {
        "FACEMEM_KEYS": "required",
        "FACEMEM_SUBMISSIONS_PER_MINUTE": SUBMISSIONS,
        "FACEMEM_MAX_QUEUED_IMAGES": QUEUED_IMAGES,
        "FACEMEM_API_PORT": port,
    }
    return ["env", *(f"{name}={value}" for name, value in told.items()), sys.executable, "-m", "services.api"]


def keys(database: Engine, clients: int, tenants: int) -> list[str]:
    """A key for each client, by turns of so many tenants."""
    with database.begin() as connection:
        return [
            stored.create(connection, f"tenant-{number % tenants}", "operator", "overload", list(Scope), None)[0]
            for number in range(clients)
        ]


def submission(images: int) -> Mapping[str, object]:
    """A job of so many links."""
    return {"images": [{"url": f"https://example.org/{number}.jpg"} for number in range(images)]}


def overload(url: str, clients: Sequence[str], seconds: float) -> Answers:
    """Let these keys' clients submit at once, spread over so long, ten times what each may in a minute."""
    answers, lock, failed = Answers(), threading.Lock(), list[Exception]()
    times = OVER * SUBMISSIONS

    def submit(key: str) -> None:
        try:
            with httpx.Client(headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as client:
                began = monotonic()
                for number in range(times):
                    answer = client.post(f"{url}/v1/jobs", json=submission(JOB_IMAGES))
                    with lock:
                        answers.add(answer)
                    sleep(max(0.0, began + (number + 1) * seconds / times - monotonic()))
        except Exception as error:  # told to whoever waits
            failed.append(error)

    threads = [threading.Thread(target=submit, args=(key,)) for key in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return answers


def unfinished(database: Engine, answers: Answers) -> int:
    """How many accepted images have not come to their end when all had time to, those that are not there included."""
    until = monotonic() + ENDED_SECONDS
    while monotonic() < until and _count(database, _OPEN, answers):
        sleep(0.2)
    return len(answers.accepted) * JOB_IMAGES - _count(database, _ENDED, answers)


def _count(database: Engine, query: str, answers: Answers) -> int:
    values = {"jobs": answers.accepted, "open": [*map(str, OPEN)], "final": [*map(str, FINAL)]}
    with database.connect() as connection:
        return int(connection.execute(text(query), values).scalar_one())


_OPEN = "select count(*) from jobs where id = any(:jobs) and state = any(:open)"
_ENDED = "select count(*) from images where job_id = any(:jobs) and state = any(:final)"
