"""Handing images over: in one request, or straight into storage first."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Unpack

import httpx

from services.api.schemas import JobStatus, Preview
from services.client import bodies
from services.client.bodies import Body, Line, OnUpload
from services.client.direct import THREADS, Direct
from services.client.errors import NothingToSend
from services.client.files import images_in
from services.client.options import Options
from services.client.service import Service
from services.client.watching import Watching
from shared.jobs.states import JobState

# The answer to a submission comes once every file of it is in storage and committed.
TIMEOUT = httpx.Timeout(600.0, connect=5.0)


def nobody(_sent: int) -> None:
    """Nobody wants to know how many bytes were sent."""


class Submitting(Watching, Service):
    """Each way of submitting makes one job, and when it returns, the job is safe.

    `on_upload` is called with the number of bytes that were sent since the last call. With an `idempotency_key` a
    submission may be repeated: it is the same job.
    """

    def submit(
        self,
        paths: Sequence[Path | str] | Path | str,
        *,
        relative_to: Path | None = None,
        idempotency_key: str | None = None,
        on_upload: OnUpload = nobody,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Submits files in one request: some hundred, or what one submission may weigh.

        Each image is named by its path, below `relative_to` if given; of whole paths below the folder that they share.
        Raises FileUnreadable, and NothingToSend if there is no file at all.
        """
        return self._submit(bodies.files(_some(paths), relative_to, options, on_upload), idempotency_key)

    def submit_links(
        self, links: Iterable[Line], *, idempotency_key: str | None = None, **options: Unpack[Options]
    ) -> JobStatus:
        """Submits images that the service shall fetch by itself: links, or lines of a manifest as mappings.

        A line has a `url` (https://, s3:// or upload:) and perhaps custom_id, name and metadata.
        """
        return self._submit(bodies.lines(links, options), idempotency_key)

    def submit_manifest(
        self,
        path: Path,
        *,
        idempotency_key: str | None = None,
        on_upload: OnUpload = nobody,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Submits the images that a file lists: JSON, JSON lines or CSV, by its name. Raises UnknownForm."""
        return self._submit(bodies.manifest(path, options, on_upload), idempotency_key)

    def submit_archive(
        self,
        path: Path,
        *,
        idempotency_key: str | None = None,
        on_upload: OnUpload = nobody,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Submits the images of a zip, tar or tar.gz. Raises UnknownForm."""
        return self._submit(bodies.archive(path, options, on_upload), idempotency_key)

    def submit_folder(
        self,
        folder: Path,
        *,
        idempotency_key: str | None = None,
        on_upload: OnUpload = nobody,
        threads: int = THREADS,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Submits the images of a folder and its subfolders, however many, as `submit_directly` does."""
        return self.submit_directly(
            list(images_in(folder)),
            relative_to=folder,
            idempotency_key=idempotency_key,
            on_upload=on_upload,
            threads=threads,
            **options,
        )

    def submit_directly(
        self,
        paths: Sequence[Path | str] | Path | str,
        *,
        relative_to: Path | None = None,
        idempotency_key: str | None = None,
        on_upload: OnUpload = nobody,
        threads: int = THREADS,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Puts files straight into storage, several at a time, and submits them as one job.

        After an interruption do the same again: only what is missing is sent, and if the job was made already, it is
        that job. So it is for the same files with the same options in general, unless an `idempotency_key` makes it
        another job, or the one there was has been cancelled.
        """
        direct = Direct(self._calls, _some(paths), relative_to, threads)
        key, made = self._made_before(idempotency_key or direct.key(options), given=idempotency_key is not None)
        if made is not None:
            return made
        largest = self.limit("max_file_bytes") or sys.maxsize
        return self._submit(bodies.lines(direct.lines(largest, on_upload), options), key)

    def preview(
        self, paths: Sequence[Path | str] | Path | str, *, relative_to: Path | None = None, **options: Unpack[Options]
    ) -> Preview:
        """What would become of these files, without a trace of them: counts, what is refused and why, duplicates."""
        return self._preview(bodies.files(_some(paths), relative_to, options, nobody))

    def preview_links(self, links: Iterable[Line], **options: Unpack[Options]) -> Preview:
        """The same for links."""
        return self._preview(bodies.lines(links, options))

    def preview_manifest(self, path: Path, **options: Unpack[Options]) -> Preview:
        """The same for a manifest."""
        return self._preview(bodies.manifest(path, options, nobody))

    def preview_archive(self, path: Path, **options: Unpack[Options]) -> Preview:
        """The same for an archive."""
        return self._preview(bodies.archive(path, options, nobody))

    def _made_before(self, key: str, *, given: bool) -> tuple[str, JobStatus | None]:
        """The key to submit under, and the job that was made under it.

        A set whose job was cancelled goes in again under the next key, unless the caller insists on a key.
        """
        again = 0
        while True:
            tried = key if not again else f"{key}-{again}"
            made = next(iter(self.jobs(idempotency_key=tried)), None)
            if made is None or given or made.state != JobState.CANCELLED:
                return tried, made
            again += 1

    def _submit(self, body: Body, key: str | None) -> JobStatus:
        headers = body.headers | ({"Idempotency-Key": key} if key is not None else {})
        return self._calls.post(
            "/v1/jobs",
            JobStatus,
            body.sent,
            query=body.query,
            headers=headers,
            timeout=TIMEOUT,
            repeatable=key is not None,
        )

    def _preview(self, body: Body) -> Preview:
        query = {**body.query, "dry_run": "true"}
        return self._calls.post(
            "/v1/jobs", Preview, body.sent, query=query, headers=body.headers, timeout=TIMEOUT, repeatable=True
        )


def _some(paths: Sequence[Path | str] | Path | str) -> Sequence[Path]:
    """The files, however they were named. Raises NothingToSend."""
    found = [Path(paths)] if isinstance(paths, Path | str) else [Path(path) for path in paths]
    if not found:
        raise NothingToSend
    return found
