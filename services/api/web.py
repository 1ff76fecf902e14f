"""The page for people, and the photographs to try it with. Files only: what is in them is nobody's data."""

from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Blueprint, Response, request, send_file, send_from_directory

from services.api.problems import NotFound, RequestError
from services.samples import write_samples
from shared.errors import StartFailed
from shared.images.formats import media_type

api = Blueprint("web", __name__)

FOLDER = Path(__file__).parent.parent / "web"
# A browser asks each time whether it has the newest; an answer without a body is enough then.
CACHING = "no-cache"


class SamplesMissing(RequestError):
    """The sample photographs come with packages that this service does not have: pip install 'facemem[samples]'."""

    code = "samples_missing"
    status = HTTPStatus.NOT_FOUND


@api.get("/")
def front() -> Response:
    """The page."""
    return _page("index.html")


@api.get("/page/<path:file>")
def part(file: str) -> Response:
    """A module, style sheet or picture of the page. Paths that lead out of the folder are not found."""
    return _page(f"page/{file}")


@api.get("/samples")
def samples() -> dict[str, Any]:
    """The names of the sample photographs."""
    return {"files": list(_samples())}


@api.get("/samples/<name>")
def sample(name: str) -> Response:
    """One of them; some are no photographs, to show what becomes of such files."""
    content = _samples().get(name)
    if content is None:
        raise NotFound(f"There is no sample {name!r}; /samples lists them.")
    answer = send_file(BytesIO(content), mimetype=media_type(content) or "application/octet-stream")
    answer.headers["Cache-Control"] = CACHING
    return answer


def _page(path: str) -> Response:
    answer = send_from_directory(FOLDER, path, conditional=True)
    answer.headers["Cache-Control"] = CACHING
    answer.make_conditional(request)
    return answer


@lru_cache(maxsize=1)
def _samples() -> dict[str, bytes]:
    """By name. Raises SamplesMissing."""
    with TemporaryDirectory() as folder:
        try:
            return {path.name: path.read_bytes() for path in write_samples(Path(folder))}
        except StartFailed as error:
            raise SamplesMissing(error.detail) from error
