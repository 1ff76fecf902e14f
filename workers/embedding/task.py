"""The embedding stage: reads crops and captions; writes patches and tokens, one object for a batch."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from uuid import UUID

import numpy as np
from sqlalchemy import Connection, update

from shared import metrics
from shared.compute import Compute, use_threads
from shared.database.faces import faces_of
from shared.database.tables import Face
from shared.images.crop import CROP_SIZE
from shared.images.decode import decode
from shared.jobs.delivery import ClaimedImage
from shared.memorability.catalogue import BundleFacts, Catalogue
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
    # One batch at a time, while others come from storage or go there. Always in the same thread: each that has ever
    # computed keeps memory for it.
    computing = ThreadPoolExecutor(1, thread_name_prefix="encode")
    use_threads(settings.threads)
    compute = Compute.of(settings)
    catalogue = Catalogue(settings.bundle, settings.bundles_folder)

    def load(bundle: BundleFacts) -> Encoders:
        with metrics.MODEL_LOAD_SECONDS.labels("encoders").time():
            encoders = Encoders(bundle, compute)
            encoders.warm_up()
            return encoders

    loaded = Loaded(catalogue, load)
    computing.submit(loaded.default, settings.bundle_digest).result()

    def encoded(images: list[ClaimedImage], faces: list[Face], crops: np.ndarray) -> bytes:
        encoders = loaded.of(images[0].bundle)  # a batch is of one job, and a job has one bundle
        states = encoders.encode(crops, [face.caption or "" for face in faces])
        return pack({face.id: state for face, state in zip(faces, states, strict=True)})

    def packed(images: list[ClaimedImage]) -> bytes:
        """Their faces' states. Crops and states are let go of here: storage may be waited for long."""
        by_image = faces_of(connections.database, [image.id for image in images])
        faces = [face for image in images for face in by_image[image.id]]
        crops = np.empty((len(faces), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        for place, face in enumerate(faces):
            crops[place] = decode(connections.objects.get(face.crop_key or ""), max_pixels=CROP_PIXELS).pixels
        # What is logged there is about this batch: its fields go with it.
        return computing.submit(copy_context().run, encoded, images, faces, crops).result()

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        content = packed(images)
        key = keys.batch_states(images[0].job_id, token)
        connections.objects.put(key, content)
        return [Done(image, key) for image in images]

    return work, partial(_save, compute.encoding)


def _save(encoders: str, connection: Connection, outcomes: list[Saved]) -> None:
    for key in {outcome.output for outcome in outcomes}:
        image_ids = [outcome.image.id for outcome in outcomes if outcome.output == key]
        connection.execute(update(Face).where(Face.image_id.in_(image_ids)).values(states_key=key, encoders=encoders))
