"""What clients do, and what is done to the API that they talk to."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from random import Random
from time import sleep
from typing import Any
from uuid import UUID, uuid4

from services.client import ApiError, Facemem, Unreachable
from tests.torture.faults.table import Fault
from tests.torture.torture import IMAGES, Torture


def killed_in_mid_upload(torture: Torture, rng: Random) -> None:
    """The API is killed while a submission is sent. The client sends it again under the same key: it is one job."""
    files, key = torture.files(rng), str(uuid4())
    killer = threading.Timer(rng.uniform(0, 0.15), torture.machine.kill, ("api",))
    killer.start()
    made = None
    # The client tries again by itself, but not for as long as the API needs.
    with Facemem(torture.machine.api_url) as client, suppress(Unreachable):
        made = client.submit(files, idempotency_key=key, captioner="ollama").id
    killer.join()
    job = torture.patiently(lambda client: client.submit(files, idempotency_key=key, captioner="ollama"))
    assert made in (job.id, None)
    torture.accept(job.id, job.images)


def cancelled(torture: Torture, rng: Random) -> None:
    """A job is cancelled at any moment of its way."""
    job = torture.submit(rng)
    sleep(rng.uniform(0, 2))
    with suppress(ApiError):  # it may have ended before
        torture.patiently(lambda client: client.cancel(job))


def deleted(torture: Torture, rng: Random) -> None:
    """A job and single images of another are deleted at any moment of their way."""
    whole, part = torture.submit(rng), torture.submit(rng)
    sleep(rng.uniform(0, 2))
    torture.patiently(lambda client: _gone(client.delete_job, whole))
    del torture.accepted[whole]
    for position in rng.sample(range(IMAGES), 3):
        image = _image(torture, part, position)
        torture.patiently(lambda client, image=image: _gone(client.delete_image, image))
        torture.accepted[part] -= 1


def _gone(delete: Callable[[Any], object], what: UUID | int) -> None:
    """Delete something that may be deleted already: the answer to that may have been lost."""
    try:
        delete(what)
    except ApiError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise


def _image(torture: Torture, job: UUID, position: int) -> int:
    query = "select id from images where job_id = :job and position = :position"
    return int(str(torture.scalar(query, job=job, position=position)))


FAULTS = [
    Fault("the API killed in mid-upload, and the client tries again", 50, killed_in_mid_upload),
    Fault("cancelled at any moment", 25, cancelled, may_fail=True),
    Fault("deleted at any moment, in whole and in part", 25, deleted),
]
