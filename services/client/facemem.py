"""The client. Each method is one operation of the API, or one loop over one."""

import ipaddress
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from services.api.schemas import (
    Explanation,
    FaceResult,
    ImageResult,
    JobStatus,
    Link,
    LinkJob,
    Model,
    Models,
    ResultsPage,
)
from services.client import errors, uploads
from shared.jobs.states import JobState

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# The answer to a submission comes once every file of it is in storage and committed.
SUBMIT_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
WATCH_SECONDS = 0.5
# A service that is restarted answers again within seconds; a job that is watched for hours should survive that.
PATIENCE_SECONDS = 30.0
# Pages of this size keep the memory of both sides small and the number of requests too.
PAGE = 100

Answer = TypeVar("Answer", bound=BaseModel)


class Facemem:
    """A connection to the API at `url`. Every method raises ApiError when the API refuses, Unreachable when it is not
    there. May be used by several threads.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # A proxy named in the environment does not lead to this machine.
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT, trust_env=not _is_loopback(self.url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    # --- Jobs ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        paths: Sequence[Path],
        *,
        relative_to: Path | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        captioner: str = "auto",
        on_upload: Callable[[int], None] = lambda _: None,
    ) -> JobStatus:
        """Submits files as one job. When this returns, the job is safe.

        Each image is named by its path, below `relative_to` if given. `on_upload` is called with the number of bytes
        that were sent since the last call. Raises FileUnreadable, and ValueError if there is no file at all.
        """
        if not paths:
            raise ValueError("a job needs at least one file")
        fields = {"captioner": captioner, "metadata": json.dumps(dict(metadata or {}))}
        if name is not None:
            fields["name"] = name
        files = list(uploads.parts(paths, relative_to, on_upload))
        return self._post("/v1/jobs", JobStatus, data=fields, files=files)

    def submit_links(
        self,
        links: Iterable[str | Link],
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        captioner: str = "auto",
    ) -> JobStatus:
        """Submits images that the service shall fetch by itself."""
        job = LinkJob.model_validate(
            {
                "name": name,
                "metadata": dict(metadata or {}),
                "captioner": captioner,
                "images": [Link(url=link, name=None) if isinstance(link, str) else link for link in links],
            }
        )
        return self._post("/v1/jobs", JobStatus, json=job.model_dump(mode="json"))

    def job(self, job_id: UUID | str) -> JobStatus:
        """How far a job is."""
        return self._get(f"/v1/jobs/{job_id}", JobStatus)

    def watch(self, job_id: UUID | str, seconds: float = WATCH_SECONDS) -> Iterator[JobStatus]:
        """The status of a job, at once and then every so many seconds, until it has ended. Outlasts a restart of the
        service.
        """
        answered = time.monotonic()
        while True:
            try:
                status = self.job(job_id)
            except (errors.Unreachable, errors.ApiError) as error:
                passing = isinstance(error, errors.Unreachable) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
                if not passing or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            else:
                answered = time.monotonic()
                yield status
                if status.state != JobState.RUNNING:
                    return
            time.sleep(seconds)

    def cancel(self, job_id: UUID | str) -> JobStatus:
        """Withdraws a job. Images that are finished keep their results."""
        return self._post(f"/v1/jobs/{job_id}/cancel", JobStatus)

    def results(self, job_id: UUID | str) -> Iterator[ImageResult]:
        """Every image of a job in the order of submission, page after page; also while the job runs."""
        cursor: int | None = 0
        while cursor is not None:
            page = self._get(f"/v1/jobs/{job_id}/results", ResultsPage, cursor=cursor, limit=PAGE)
            yield from page.results
            cursor = page.next_cursor

    # --- Faces ---------------------------------------------------------------------------------------------------

    def explanation(self, face: FaceResult) -> Explanation:
        """What every word adds at every region."""
        return self._get(f"/v1/faces/{face.id}/explanation", Explanation)

    def photo(self, image: ImageResult) -> bytes:
        """The image as JPEG: upright, scaled down, without metadata."""
        return self._bytes(f"/v1/images/{image.id}/photo")

    def crop(self, face: FaceResult) -> bytes:
        """The face as the model saw it, as JPEG."""
        return self._bytes(f"/v1/faces/{face.id}/crop")

    def heatmap(self, face: FaceResult) -> bytes:
        """The crop under the map of what each region adds, as PNG."""
        return self._bytes(f"/v1/faces/{face.id}/heatmap")

    # --- The service ---------------------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        """The model bundles of the service, with their cards."""
        return self._get("/v1/models", Models).models

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def _get(self, path: str, answer: type[Answer], **query: int) -> Answer:
        with self._translated():
            return self._read(self._http.get(path, params=query), answer)

    def _post(
        self, path: str, answer: type[Answer], *, data: Any = None, files: Any = None, json: Any = None
    ) -> Answer:
        with self._translated():
            timeout = SUBMIT_TIMEOUT if files else TIMEOUT
            return self._read(self._http.post(path, data=data, files=files, json=json, timeout=timeout), answer)

    def _bytes(self, path: str) -> bytes:
        with self._translated():
            return _checked(self._http.get(path)).content

    def _read(self, response: httpx.Response, answer: type[Answer]) -> Answer:
        try:
            return answer.model_validate_json(_checked(response).content)
        except ValidationError as error:
            detail = f"{self.url} answers, but not as facemem does; is it the right address?"
            raise errors.ApiError("not_facemem", detail, response.status_code) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise errors.Unreachable(f"{self.url} does not answer: {error}") from error


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise errors.problem(response)
    return response


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
