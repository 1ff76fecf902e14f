"""The captioning stage: reads crops; writes captions and who wrote them.

Where this very captioner has described the same bytes before, and the same bundle has scored them, an image ends here.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import cast
from uuid import UUID

import numpy as np
import structlog
from sqlalchemy import Connection, bindparam, update
from sqlalchemy.orm import Session

from shared.captions.gate import MOST
from shared.database.faces import faces_of
from shared.database.session import autocommitting
from shared.database.tables import Face
from shared.errors import FacememError
from shared.jobs import reuse
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Finished, Outcome, Save, Saved, Work
from shared.pipeline.stages import PLANS
from shared.settings import Captioner, Settings
from workers.captioning import reused
from workers.captioning.caption import Caption, Captioners, Portrait


def build(connections: Connections) -> tuple[Work, Save]:
    """Set the captioners up; return the stage's work and save."""
    captioners = Captioners(connections.settings)
    # All faces of all batches in hand; the captioners let as many of them through as the server makes use of.
    threads = ThreadPoolExecutor(MOST, thread_name_prefix="caption")

    def caption(face: Face, wanted: Captioner) -> Caption:
        with structlog.contextvars.bound_contextvars(image=face.image_id, face=face.id):
            return captioners.caption(_portrait(connections, face), wanted)

    def begun(image: ClaimedImage, faces: list[Face]) -> dict[int, Future[Caption]]:
        wanted = cast(Captioner, image.captioner)
        # What they log is about this batch: its fields go with it.
        return {face.id: threads.submit(copy_context().run, caption, face, wanted) for face in faces}

    def work(images: list[ClaimedImage], token: UUID) -> Iterator[Outcome]:
        faces = faces_of(connections.database, [image.id for image in images])
        twins = _scored_twins(connections, images, captioners)
        captions = {}
        for image in images:
            if (twin := twins.get(image.id)) and twin.fits(faces[image.id]):
                yield Finished(image, reused.take_over(twin, faces[image.id]))
            else:
                captions[image.id] = begun(image, faces[image.id])
        yield from (_captioned(image, captions[image.id]) for image in images if image.id in captions)

    return work, _save


def at_once(settings: Settings) -> int | None:
    """Batches in hand, where the settings tell how many requests are in flight: no more than those."""
    return settings.captions_at_once and min(settings.captions_at_once, PLANS[Stage.CAPTIONING].at_once)


def _captioned(image: ClaimedImage, captions: dict[int, Future[Caption]]) -> Outcome:
    try:
        return Done(image, {face_id: caption.result() for face_id, caption in captions.items()})
    except FacememError as error:
        for caption in captions.values():
            caption.cancel()
        return Failed(image, error)


def _scored_twins(
    connections: Connections, images: list[ClaimedImage], captioners: Captioners
) -> dict[int, reuse.ScoredTwin]:
    """Images of the same bytes that have what these would get, by the captioner that would write theirs now."""
    writer = captioners.identity(cast(Captioner, images[0].captioner))  # a batch is of one job
    if writer is None:
        return {}
    with autocommitting(connections.database) as connection, Session(connection, expire_on_commit=False) as session:
        ids = reuse.repeated(session, [image.id for image in images])
        found = reuse.scored(session, ids, writer) if ids else {}
        session.expunge_all()
    return found


def _portrait(connections: Connections, face: Face) -> Portrait:
    left, top, right, bottom = face.crop_box
    return Portrait(
        connections.objects.get(face.crop_key or ""),
        (left, top, right, bottom),
        np.array(face.landmarks, dtype=np.float32).reshape(5, 2),
    )


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    reused.save(connection, {each.image.id: each.output for each in outcomes if isinstance(each, Finished)})
    rows = [
        {"face": face_id, "caption": caption.text, "captioner": caption.captioner}
        for outcome in outcomes
        if isinstance(outcome, Done)
        for face_id, caption in outcome.output.items()
    ]
    if rows:
        connection.execute(
            update(Face)
            .where(Face.id == bindparam("face"))
            .values(caption=bindparam("caption"), captioner=bindparam("captioner")),
            rows,
        )
