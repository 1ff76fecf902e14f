"""From results to the contact sheet's file."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from services.api.schemas import ImageResult, JobStatus
from services.cli.journey import one_bundle
from services.client import Facemem
from services.contact_sheet import FACES, SheetContent, SheetFace, SheetImage, draw

# More would make a picture that few programs open.
MOST_IMAGES = 60
FETCHED_AT_ONCE = 8


def write_sheet(
    path: Path, facemem: Facemem, jobs: list[JobStatus], images: Iterable[ImageResult], title: str, about: str
) -> None:
    """Fetches the pictures of the first images and writes the sheet. `about` says what a score is.

    Raises MixedBundles if the jobs are not of one bundle.
    """
    scored_with = one_bundle(jobs)
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as threads:
        shown = list(threads.map(lambda image: _with_pictures(facemem, image), islice(images, MOST_IMAGES)))
    total = sum(job.images for job in jobs)
    faces = sum(len(image.faces) + image.left_out for image in shown)
    first = jobs[0]
    bundle = f"bundle {scored_with.name or 'unknown'} {scored_with.digest[:8]}"
    parts = [f"{total:,} images", f"{faces:,} faces", f"{first.created_at.astimezone():%d %B %Y}".lstrip("0"), bundle]
    content = SheetContent(title, " · ".join(parts), about, shown, left_out=total - len(shown))
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(content).save(path, "PNG")


def _with_pictures(facemem: Facemem, image: ImageResult) -> SheetImage:
    """Two requests for each face that has room, and one for the photo."""
    scored = [face for face in image.faces if face.score is not None]
    faces = [SheetFace(face, facemem.crop(face), facemem.explanation(face)) for face in scored[:FACES]]
    photo = facemem.photo(image) if "photo" in image.links else None
    return SheetImage(image, photo, faces, left_out=len(scored) - len(faces))
