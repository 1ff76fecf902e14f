"""The detection stage: reads originals; writes photos and crops to storage, and face rows.

What the same bytes gave before is taken over instead. Of several in one set the first is computed, and the others wait
for all that it becomes.
"""

from collections import defaultdict
from threading import Lock
from uuid import UUID

import structlog
from sqlalchemy import Connection, delete, insert, text
from sqlalchemy.orm import Session

from shared import metrics
from shared.compute import Compute, use_threads
from shared.database.session import autocommitting
from shared.database.tables import Face
from shared.errors import ObjectMissing, PermanentError
from shared.faces.finder import FaceFinder
from shared.images.decoders import Decoders
from shared.jobs import reuse, stored
from shared.jobs.delivery import ClaimedImage
from shared.jobs.reuse import Twin
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Later, Outcome, Save, Saved, Skipped, Work
from workers.detection.detect import Photograph, detect, detector
from workers.detection.looked import Looked, store, take_over

log = structlog.get_logger()

# Seconds until an image looks again whether its twin is done: a share of what its job has taken so far, so that the
# wait prolongs it by no more than that, and that many who wait for something slow do not keep us busy.
LOOK_AGAIN_SHARE = 0.05
SOONEST_LOOK, LATEST_LOOK = 0.5, 30.0

# Of what is found out about an image, what goes into its own row; by one statement, because one for
# each takes longer.
_WRITTEN = ("width", "height", "photo_key", "derived_bytes", "reused_from")
_LOOKED_AT = text("""
update images set detector = :detector, width = seen.width, height = seen.height, photo_key = seen.photo_key,
    derived_bytes = seen.derived_bytes, reused_from = seen.reused_from
from unnest(cast(:ids as bigint[]), cast(:width as int[]), cast(:height as int[]), cast(:photo_key as text[]),
        cast(:derived_bytes as bigint[]), cast(:reused_from as bigint[]))
    as seen (id, width, height, photo_key, derived_bytes, reused_from)
where images.id = seen.id
""")


def build(connections: Connections) -> tuple[Work, Save]:
    """Load MTCNN; return the stage's work and save."""
    settings = connections.settings
    computing = Lock()  # one batch at a time, while others come from storage or go there
    use_threads(settings.threads)
    compute = Compute.of(settings)
    with metrics.MODEL_LOAD_SECONDS.labels("finder").time():
        finder = FaceFinder(compute, settings.detection_min_face, settings.detection_threshold)
    looked_for_with = detector(settings, compute)
    decoders = Decoders(settings.max_pixels)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        twins, waiting = _known(connections, images, looked_for_with)
        outcomes = _taken_over(connections, images, twins, token)
        outcomes += [
            _wait(image, waiting[image.id]) for image in images if image.id in waiting and image.id not in twins
        ]
        settled = {outcome.image.id for outcome in outcomes}
        return outcomes + computed([image for image in images if image.id not in settled], token)

    def computed(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        contents: dict[int, bytes] = {}
        outcomes: list[Outcome] = []
        for image in images:
            try:
                contents[image.id] = connections.objects.get(image.original_key or "")
            except ObjectMissing as error:
                outcomes.append(Failed(image, error))
        there = [image for image in images if image.id in contents]
        with computing:
            photographs = detect(finder, decoders.decode, [contents[image.id] for image in there], settings)
        return outcomes + [
            _stored(connections, image, photograph, token) for image, photograph in zip(there, photographs, strict=True)
        ]

    def save(connection: Connection, outcomes: list[Saved]) -> None:
        _save(connection, outcomes, looked_for_with)

    return work, save


def _known(
    connections: Connections, images: list[ClaimedImage], looked_for_with: str
) -> tuple[dict[int, Twin], dict[int, float]]:
    """The twins that images can take over from, and those that should wait for one, with their job's age."""
    with autocommitting(connections.database) as connection, Session(connection, expire_on_commit=False) as session:
        ids = reuse.repeated(session, [image.id for image in images])
        if not ids:
            return {}, {}
        twins = reuse.looked_at(session, ids, looked_for_with, ended=True)
        waiting = reuse.on_the_way(session, ids - twins.keys())
        # Twins on their way in other jobs are not waited for; but what they have so far is good.
        twins |= reuse.looked_at(session, ids - twins.keys() - waiting.keys(), looked_for_with, ended=False)
        session.expunge_all()
    return twins, waiting


def _taken_over(
    connections: Connections, images: list[ClaimedImage], twins: dict[int, Twin], token: UUID
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for image in images:
        if twin := twins.get(image.id):
            try:
                outcomes.append(_outcome(image, take_over(connections.objects, image, twin, token)))
            except ObjectMissing as error:
                log.info("twin_gone", image=image.id, twin=twin.image.id, error=error.detail)
    return outcomes


def _wait(image: ClaimedImage, age: float) -> Later:
    seconds = min(max(age * LOOK_AGAIN_SHARE, SOONEST_LOOK), LATEST_LOOK)
    return Later(image, seconds, "same_image", "The same image comes earlier in this set; what it gets is taken over.")


def _stored(connections: Connections, image: ClaimedImage, seen: Photograph | PermanentError, token: UUID) -> Outcome:
    if isinstance(seen, PermanentError):
        return Failed(image, seen)
    return _outcome(image, store(connections.objects, image, seen, token))


def _outcome(image: ClaimedImage, looked: Looked) -> Done | Skipped:
    if not looked.faces:
        return Skipped(image, "no_face", "No face was found in this image.", looked)
    return Done(image, looked)


def _save(connection: Connection, outcomes: list[Saved], looked_for_with: str) -> None:
    if not outcomes:
        return
    sizes: dict[UUID, dict[int, int]] = defaultdict(dict)
    for outcome in outcomes:
        sizes[outcome.image.job_id][outcome.image.id] = outcome.output.derived_bytes
    for job_id, of_images in sizes.items():
        stored.count_derived(connection, job_id, of_images)
    looked: list[Looked] = [outcome.output for outcome in outcomes]
    written = {column: [getattr(each, column) for each in looked] for column in _WRITTEN}
    ids = [outcome.image.id for outcome in outcomes]
    connection.execute(_LOOKED_AT, {"ids": ids, "detector": looked_for_with, **written})
    faces = [
        {"image_id": outcome.image.id, "job_id": outcome.image.job_id, **row}
        for outcome in outcomes
        for row in outcome.output.faces
    ]
    connection.execute(delete(Face).where(Face.image_id.in_(ids)))
    if faces:
        connection.execute(insert(Face), faces)
