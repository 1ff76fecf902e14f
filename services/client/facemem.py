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

from services.api.insight_schemas import Insights
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
# A job of a million is read through once.
INSIGHTS_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
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
        bundle: str | None = None,
        on_upload: Callable[[int], None] = lambda _: None,
    ) -> JobStatus:
        """Submits files as one job. When this returns, the job is safe.

        Each image is named by its path, below `relative_to` if given. `bundle` is the name or digest of a bundle of the
        service. `on_upload` is called with the number of bytes that were sent since the last call. Raises
        FileUnreadable, and ValueError if there is no file at all.
        """
        if not paths:
            raise ValueError("a job needs at least one file")
        fields = {"captioner": captioner, "metadata": json.dumps(dict(metadata or {}))}
        fields |= {key: value for key, value in (("name", name), ("bundle", bundle)) if value is not None}
        files = list(uploads.parts(paths, relative_to, on_upload))
        return self._post("/v1/jobs", JobStatus, data=fields, files=files, timeout=SUBMIT_TIMEOUT)

    def submit_links(
        self,
        links: Iterable[str | Link],
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        captioner: str = "auto",
        bundle: str | None = None,
    ) -> JobStatus:
        """Submits images that the service shall fetch by itself."""
        job = LinkJob.model_validate(
            {
                "name": name,
                "metadata": dict(metadata or {}),
                "captioner": captioner,
                "bundle": bundle,
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

    def rescore(self, job_id: UUID | str, bundle: str) -> JobStatus:
        """Scores the faces of a job that has ended again, with the bundle of that name or digest, as a new job."""
        return self._post(f"/v1/jobs/{job_id}/rescore", JobStatus, json={"bundle": bundle}, timeout=SUBMIT_TIMEOUT)

    def results(self, job_id: UUID | str) -> Iterator[ImageResult]:
        """Every image of a job in the order of submission, page after page; also while the job runs."""
        cursor: int | None = 0
        while cursor is not None:
            page = self._get(f"/v1/jobs/{job_id}/results", ResultsPage, cursor=cursor, limit=PAGE)
            yield from page.results
            cursor = page.next_cursor

    def insights(self, job_id: UUID | str, *, everything: bool = False) -> Insights:
        """Which words go with high and low scores of a job; with `everything` also those that chance may have made."""
        return self._get(f"/v1/jobs/{job_id}/insights", Insights, INSIGHTS_TIMEOUT, all=everything)

    def insights_picture(self, job_id: UUID | str) -> bytes:
        """The same as a picture, PNG."""
        return self._bytes(f"/v1/jobs/{job_id}/insights/picture", INSIGHTS_TIMEOUT)

    # --- Faces ---------------------------------------------------------------------------------------------------

    def face(self, face_id: int) -> FaceResult:
        """One face by its id."""
        return self._get(f"/v1/faces/{face_id}", FaceResult)

    def explanation(self, face: FaceResult) -> Explanation:
        """What every word adds at every region."""
        return self._get(f"/v1/faces/{face.id}/explanation", Explanation)

    def photo(self, image: ImageResult) -> bytes:
        """The image as JPEG: upright, scaled down, without metadata."""
        return self._bytes(f"/v1/images/{image.id}/photo")

    def crop(self, face: FaceResult) -> bytes:
        """The face as the model saw it, as JPEG."""
        return self._bytes(f"/v1/faces/{face.id}/crop")

    def heatmap(self, face: FaceResult, word: int | None = None) -> bytes:
        """The crop under the map of what each region adds, as PNG; by one word, if its place among `words` of the
        explanation is given.
        """
        return self._bytes(f"/v1/faces/{face.id}/heatmap", **({} if word is None else {"word": word}))

    def words(self, face: FaceResult) -> bytes:
        """The caption with its words coloured by what they add, as PNG."""
        return self._bytes(f"/v1/faces/{face.id}/words")

    def explanation_picture(self, face: FaceResult) -> bytes:
        """The whole explanation on one page, as PNG."""
        return self._bytes(f"/v1/faces/{face.id}/explanation/picture")

    # --- The service ---------------------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        """The model bundles of the service, with their cards."""
        return self._get("/v1/models", Models).models

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def _get(self, path: str, answer: type[Answer], timeout: httpx.Timeout = TIMEOUT, /, **query: int) -> Answer:
        with self._translated():
            return self._read(self._http.get(path, params=query, timeout=timeout), answer)

    def _post(
        self,
        path: str,
        answer: type[Answer],
        *,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> Answer:
        with self._translated():
            return self._read(self._http.post(path, data=data, files=files, json=json, timeout=timeout), answer)

    def _bytes(self, path: str, timeout: httpx.Timeout = TIMEOUT, /, **query: int) -> bytes:
        with self._translated():
            return _checked(self._http.get(path, params=query, timeout=timeout)).content

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
