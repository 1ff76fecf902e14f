"""What `facemem submit` was given: images, an archive or a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.api.schemas import JobStatus, Preview
from services.cli.gather import gather
from services.cli.journey import Journey, accepted
from services.cli.progress import Display
from services.client import Facemem
from services.client.bodies import ARCHIVES, MANIFESTS, form_of
from services.client.options import Options
from shared.errors import FacememError


class MixedSources(FacememError):
    """An archive or a manifest is a job of its own.

    Name it alone, and submit the images in another job.
    """

    code = "mixed_sources"


@dataclass(frozen=True)
class Images:
    """Image files, one by one."""

    files: Sequence[Path]

    def submit(self, facemem: Facemem, display: Display, key: str | None, told: Options) -> JobStatus:
        """Sends them, in one request or straight into storage."""
        return Journey(facemem, self.files, display).submit(key, **told)

    def preview(self, facemem: Facemem, told: Options) -> Preview:
        """What would become of them."""
        return facemem.preview(self.files, **told)


@dataclass(frozen=True)
class Listed:
    """One file that holds images or lists them."""

    path: Path
    is_archive: bool

    def submit(self, facemem: Facemem, display: Display, key: str | None, told: Options) -> JobStatus:
        """Sends it as it is."""
        send = facemem.submit_archive if self.is_archive else facemem.submit_manifest
        step = display.upload(self.path.stat().st_size)
        job = send(self.path, idempotency_key=key, on_upload=step, **told)
        display.note(accepted(job))
        return job

    def preview(self, facemem: Facemem, told: Options) -> Preview:
        """What would become of the images in it."""
        return (facemem.preview_archive if self.is_archive else facemem.preview_manifest)(self.path, **told)


Source = Images | Listed


def source(paths: Sequence[Path]) -> Source:
    """What these paths are. Raises NoImages and MixedSources."""
    lists = [path for path in paths if path.is_file() and form_of(path, {**MANIFESTS, **ARCHIVES})]
    if not lists:
        return Images(gather(paths))
    if len(paths) > 1:
        raise MixedSources(f"{lists[0]} was named together with other files.")
    return Listed(lists[0], is_archive=form_of(lists[0], ARCHIVES) is not None)
