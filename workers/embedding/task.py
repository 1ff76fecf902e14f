"""The embedding stage: reads crops and captions; writes patches and tokens, one object for a batch."""

from functools import partial
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, update

from shared.compute import use_threads
from shared.database.faces import faces_of
from shared.database.tables import Face
from shared.images.decode import decode
from shared.jobs.delivery import ClaimedImage
from shared.memorability.catalogue import Catalogue
from shared.memorability.encoders import Encoders
from shared.memorability.loaded import Loaded
from shared.memorability.states import pack
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Outcome, Save, Saved, Work
from shared.storage import keys

CROP_PIXELS = 1_000_000


def build(connections: Connections) -> tuple[Work, Save]:
    """Load the default bundle's encoders; return the stage's work and save. Other bundles are loaded as jobs come."""
    settings = connections.settings
    use_threads(settings.threads)
    catalogue = Catalogue(settings.bundle, settings.bundles_folder)
    loaded = Loaded(catalogue, partial(Encoders, device=settings.device))
    loaded.default(settings.bundle_digest)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        encoders = loaded.of(images[0].bundle)  # a batch is of one job, and a job has one bundle
        by_image = faces_of(connections.database, [image.id for image in images])
        faces = [face for image in images for face in by_image[image.id]]
        crops = np.stack(
            [decode(connections.objects.get(face.crop_key or ""), max_pixels=CROP_PIXELS).pixels for face in faces]
        )
        states = encoders.encode(crops, [face.caption or "" for face in faces])
        key = keys.batch_states(images[0].job_id, token)
        connections.objects.put(key, pack({face.id: state for face, state in zip(faces, states, strict=True)}))
        return [Done(image, key) for image in images]

    return work, _save


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    for key in {outcome.output for outcome in outcomes}:
        image_ids = [outcome.image.id for outcome in outcomes if outcome.output == key]
        connection.execute(update(Face).where(Face.image_id.in_(image_ids)).values(states_key=key))
