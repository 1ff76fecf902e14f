"""What clients do, and what is done to the API that they talk to."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any
from uuid import UUID, uuid4

from services.client import ApiError, Facemem
from shared.jobs.states import Stage
from tests.torture.faults.in_hand import at_each_stage, strike
from tests.torture.faults.table import Act, Fault
from tests.torture.patience import though_away
from tests.torture.torture import IMAGES, Torture

HELD_SECONDS = 1.0  # less than the lease of a batch
PART = 3  # images that are deleted one by one
CUT_SHORT = """
    select exists (select from images where job_id = :job and stage = :stage and state = 'cancelled' and attempt > 0)
"""
# A receipt stays open for longer where a worker had something of what it names in its hands.
IN_HAND = "last_sweep_at > requested_at + interval '5 seconds'"


def killed_in_mid_upload(torture: Torture, rng: Random) -> None:
    """The API is killed while a submission is sent. The client sends it again under the same key: it is one job."""
    files, key = torture.files(rng), str(uuid4())
    killer = threading.Timer(rng.uniform(0, 0.15), torture.machine.kill, ("api",))
    killer.start()
    made = None
    # The client tries again by itself, but not for as long as the API, or what else is away just then, may need.
    with Facemem(torture.machine.api_url) as client, though_away():
        made = client.submit(files, idempotency_key=key, captioner="ollama").id
    killer.join()
    job = torture.patiently(lambda client: client.submit(files, idempotency_key=key, captioner="ollama"))
    assert made in (job.id, None)
    torture.accept(job.id, job.images)


def cancelled(stage: Stage) -> Act:
    """A job is cancelled while a worker of this stage has some of it in its hands."""

    def act(torture: Torture, rng: Random) -> None:
        def blow(job: UUID) -> bool:
            _while_held(stage, torture, lambda: torture.patiently(lambda client: client.cancel(job)))
            return bool(torture.scalar(CUT_SHORT, job=job, stage=stage))

        strike(stage, torture, rng, blow)

    return act


def deleted(stage: Stage) -> Act:
    """A job, and single images of another, are deleted while a worker of this stage has them in its hands."""

    def act(torture: Torture, rng: Random) -> None:
        def whole(job: UUID) -> bool:
            _while_held(stage, torture, lambda: torture.patiently(lambda client: _gone(client.delete_job, job)))
            torture.removed(job)
            query = f"select exists (select from deletions where job_id = :job and image_id is null and {IN_HAND})"
            return bool(torture.scalar(query, job=job))

        def part(job: UUID) -> bool:
            held: list[int] = []

            def delete() -> None:
                held.extend(torture.in_hand(stage, job)[:PART])
                for image in dict.fromkeys([*held, *_others(torture, job, held, rng)]):
                    torture.patiently(partial(_image_gone, image))
                    torture.accepted[job] -= 1

            _while_held(stage, torture, delete)
            query = f"select exists (select from deletions where image_id = any(:held) and {IN_HAND})"
            return bool(torture.scalar(query, held=held))

        strike(stage, torture, rng, whole)
        strike(stage, torture, rng, part)

    return act


def _while_held(stage: Stage, torture: Torture, do: Callable[[], object]) -> None:
    """Do something while the workers of a stage stand still with what they have in hand, so that it is there for sure.

    Not for long: one of them may hold a lock that this waits for.
    """
    with ThreadPoolExecutor(1) as client:
        with ExitStack() as still:
            for name in torture.machine.workers(stage):
                still.enter_context(torture.machine.frozen(name))
            done = client.submit(do)
            wait([done], HELD_SECONDS)
        done.result()


def _others(torture: Torture, job: UUID, held: list[int], rng: Random) -> list[int]:
    """So many further images of a job that with those it is `PART`, wherever they are."""
    return [_image(torture, job, position) for position in rng.sample(range(IMAGES), PART - len(held))]


def _gone(delete: Callable[[Any], object], what: UUID | int) -> None:
    """Delete something that may be deleted already: the answer to that may have been lost."""
    try:
        delete(what)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def _image_gone(image: int, client: Facemem) -> None:
    _gone(client.delete_image, image)


def _image(torture: Torture, job: UUID, position: int) -> int:
    query = "select id from images where job_id = :job and position = :position"
    return int(str(torture.scalar(query, job=job, position=position)))


FAULTS = [
    Fault("the API killed in mid-upload, and the client tries again", 50, killed_in_mid_upload),
    Fault("cancelled while a worker has some of it", 25, at_each_stage(cancelled), may_fail=True),
    Fault("deleted while a worker has some of it, in whole and in part", 25, at_each_stage(deleted)),
]
