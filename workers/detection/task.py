"""The detection stage: reads originals; writes photos and crops to storage, and face rows."""

from uuid import UUID

from sqlalchemy import Connection, delete, insert, update

from shared.compute import use_threads
from shared.database.tables import Face, Image
from shared.errors import ObjectMissing, PermanentError
from shared.faces.finder import FaceFinder
from shared.jobs.delivery import ClaimedImage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Outcome, Save, Skipped, Work
from shared.storage import keys
from workers.detection.detect import Photograph, detect


def build(connections: Connections) -> tuple[Work, Save]:
    """Load MTCNN; return the stage's work and save."""
    settings = connections.settings
    use_threads(settings.threads)
    finder = FaceFinder(settings.device, settings.detection_min_face, settings.detection_threshold)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        contents: dict[int, bytes] = {}
        outcomes: list[Outcome] = []
        for image in images:
            try:
                contents[image.id] = connections.objects.get(image.original_key or "")
            except ObjectMissing as error:
                outcomes.append(Failed(image, error))
        there = [image for image in images if image.id in contents]
        photographs = detect(finder, [contents[image.id] for image in there], settings)
        return outcomes + [
            _stored(connections, image, photograph, token) for image, photograph in zip(there, photographs, strict=True)
        ]

    return work, _save


def _stored(connections: Connections, image: ClaimedImage, seen: Photograph | PermanentError, token: UUID) -> Outcome:
    """Put what people and later stages look at into storage."""
    if isinstance(seen, PermanentError):
        return Failed(image, seen)
    connections.objects.put(keys.photo(image.job_id, image.id, token), seen.jpeg)
    for position, face in enumerate(seen.faces):
        connections.objects.put(keys.crop(image.job_id, image.id, position, token), face.crop_jpeg)
    if not seen.faces:
        return Skipped(image, "no_face", "No face was found in this image.", (seen, token))
    return Done(image, (seen, token))


def _save(connection: Connection, outcomes: list[Done | Skipped]) -> None:
    if not outcomes:
        return
    faces = []
    for outcome in outcomes:
        image = outcome.image
        seen, token = outcome.output
        connection.execute(
            update(Image)
            .where(Image.id == image.id)
            .values(width=seen.width, height=seen.height, photo_key=keys.photo(image.job_id, image.id, token))
        )
        faces += [
            {
                "image_id": image.id,
                "position": position,
                "box": list(face.box),
                "crop_box": list(face.crop_box),
                "landmarks": face.landmarks.ravel().tolist(),
                "confidence": face.confidence,
                "flags": face.flags,
                "crop_key": keys.crop(image.job_id, image.id, position, token),
            }
            for position, face in enumerate(seen.faces)
        ]
    connection.execute(delete(Face).where(Face.image_id.in_([outcome.image.id for outcome in outcomes])))
    if faces:
        connection.execute(insert(Face), faces)
