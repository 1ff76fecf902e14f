"""From results to the contact sheet's file."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from services.api.schemas import ImageResult, JobStatus
from services.client import Facemem
from services.contact_sheet import FACES, SheetContent, SheetFace, SheetImage, draw

# More would make a picture that few programs open.
MOST_IMAGES = 60
FETCHED_AT_ONCE = 8


def write_sheet(
    path: Path, facemem: Facemem, job: JobStatus, images: Iterable[ImageResult], title: str, about: str
) -> None:
    """Fetches the pictures of the first images and writes the sheet. `about` says what a score is."""
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as threads:
        shown = list(threads.map(lambda image: _with_pictures(facemem, image), islice(images, MOST_IMAGES)))
    faces = sum(len(image.faces) + image.left_out for image in shown)
    bundle = f"bundle {job.bundle.name or 'unknown'} {job.bundle.digest[:8]}"
    parts = [
        f"{job.images:,} images",
        f"{faces:,} faces",
        f"{job.created_at.astimezone():%d %B %Y}".lstrip("0"),
        bundle,
    ]
    content = SheetContent(title, " · ".join(parts), about, shown, left_out=job.images - len(shown))
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(content).save(path, "PNG")


def _with_pictures(facemem: Facemem, image: ImageResult) -> SheetImage:
    """Two requests for each face that has room, and one for the photo."""
    scored = [face for face in image.faces if face.score is not None]
    faces = [
        # A job that keeps scores only has neither.
        SheetFace(face, facemem.crop(face), facemem.explanation(face))
        for face in scored[:FACES]
        if "crop" in face.links
    ]
    photo = facemem.photo(image) if "photo" in image.links else None
    return SheetImage(image, photo, faces, left_out=len(scored) - len(faces))
