"""A worker whose work takes some milliseconds and computes nothing, so that many repetitions take little time.

All around the work is facemem's own, and so are the processes that decode, the objects that it stores and the rows that
it writes. What an image shall do to its worker stands behind the end of its file, where nobody else looks.

python -m tests.torture.stand_ins STAGE --name NAME
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from threading import Event, Lock
from uuid import UUID

from sqlalchemy import Connection, func, insert, text, update

from shared.database.faces import faces_of
from shared.database.tables import Explanation, Face
from shared.entry import run
from shared.errors import BrokenImage, PermanentError
from shared.images.decoders import Decoders
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Saved, Work
from shared.pipeline.worker import main
from shared.storage import keys

SHORTEST, LONGEST = 0.005, 0.02  # seconds for an image
KILLS, BREAKS = b"this kills", b"this is broken"
PHOTO_BYTES = 2000
MOST_PIXELS = 4_000_000  # of the photographs of any test

_computing = Lock()  # one image at a time, as if a processor did it


def _take_time() -> None:
    with _computing:
        # Not time.sleep: it sleeps until a time, and under libfaketime that is none.
        Event().wait(random.uniform(SHORTEST, LONGEST))


def detection(connections: Connections) -> tuple[Work, Save]:
    """Finds one face in every image, and stores a photo and its crop."""
    objects = connections.objects
    decoders = Decoders(MOST_PIXELS)

    def looked_at(image: ClaimedImage, token: UUID) -> Outcome:
        try:
            content = objects.get(image.original_key or "")
            decoders.decode(content, max_pixels=MOST_PIXELS)
        except PermanentError as error:
            return Failed(image, error)
        _take_time()
        if content.endswith(KILLS):
            os.kill(os.getpid(), signal.SIGKILL)
        if content.endswith(BREAKS):
            return Failed(image, BrokenImage())
        photo, crop = keys.photo(image.job_id, image.id, token), keys.crop(image.job_id, image.id, 0, token)
        objects.put(photo, content[:PHOTO_BYTES])
        objects.put(crop, content)
        return Done(image, (photo, crop))

    def work(images: list[ClaimedImage], token: UUID) -> Iterator[Outcome]:
        return (looked_at(image, token) for image in images)

    return work, _save_faces


def _save_faces(connection: Connection, saved: list[Saved]) -> None:
    for outcome in saved:
        photo, crop = outcome.output
        image = outcome.image
        connection.execute(
            text("update images set photo_key = :photo, width = 8, height = 8 where id = :id"),
            {"photo": photo, "id": image.id},
        )
        connection.execute(
            insert(Face).values(
                image_id=image.id,
                job_id=image.job_id,
                position=0,
                box=[1, 1, 7, 7],
                crop_box=[0, 0, 8, 8],
                landmarks=[3, 3, 5, 3, 4, 4, 3, 6, 5, 6],
                confidence=1.0,
                crop_key=crop,
            )
        )


def embedding(connections: Connections) -> tuple[Work, Save]:
    """Reads crops, and stores one object of states for its batch."""

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        for faces in faces_of(connections.database, [image.id for image in images]).values():
            for face in faces:
                connections.objects.get(face.crop_key or "")
                _take_time()
        key = keys.batch_states(images[0].job_id, token)
        connections.objects.put(key, b"states")
        return [Done(image, key) for image in images]

    def save(connection: Connection, saved: list[Saved]) -> None:
        for outcome in saved:
            faces = update(Face).where(Face.image_id == outcome.image.id)
            connection.execute(faces.values(states_key=outcome.output))

    return work, save


def scoring(connections: Connections) -> tuple[Work, Save]:
    """Reads states, and gives every face the same score."""

    def work(images: list[ClaimedImage], token: UUID) -> Iterator[Outcome]:
        by_image = faces_of(connections.database, [image.id for image in images])
        for key in {face.states_key or "" for faces in by_image.values() for face in faces}:
            connections.objects.get(key)
        for image in images:
            _take_time()
            yield Done(image, [face.id for face in by_image[image.id]])

    return work, _save_scores


def _save_scores(connection: Connection, saved: list[Saved]) -> None:
    for outcome in saved:
        for face in outcome.output:
            scored = update(Face).where(Face.id == face)
            connection.execute(scored.values(score=0.5, bundle=outcome.image.bundle, scored_at=func.now()))
            nothing = {"words": [], "rows": 0, "columns": 0, "contributions": b"", "attention": b""}
            # Fails where there is one already: a result must not come twice.
            connection.execute(insert(Explanation).values(face_id=face, logit=0.0, constant=0.0, **nothing))


BUILD: dict[Stage, Callable[[Connections], tuple[Work, Save]]] = {
    Stage.DETECTION: detection,
    Stage.EMBEDDING: embedding,
    Stage.SCORING: scoring,
}

if __name__ == "__main__":
    stage = Stage(sys.argv.pop(1))
    run(lambda: main(stage, BUILD[stage]))
