"""Why a submission is refused as a whole."""

from http import HTTPStatus

from services.api.problems import LimitExceeded, RequestError
from shared.settings import Settings


class InvalidManifest(RequestError):
    """The manifest is not what its Content-Type says: a JSON document, JSON lines, or CSV, in UTF-8."""

    code = "invalid_manifest"


class InvalidArchive(RequestError):
    """The archive is damaged or cut off, or is not what its Content-Type says. Make it anew, and send it whole."""

    code = "invalid_archive"


class UnsupportedArchive(RequestError):
    """The archive uses something that cannot be read while it arrives."""

    code = "unsupported_archive"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class OptionTwice(RequestError):
    """An option of the job is given twice. Give each once: in the address, or in the body."""

    code = "option_twice"


def check_number(number: int, settings: Settings) -> None:
    """Raises LimitExceeded if a job may not have so many images."""
    if number > settings.max_images_per_job:
        raise LimitExceeded(
            f"A job may have {settings.max_images_per_job:,} images; split it into several jobs.",
            limit="max_images_per_job",
            maximum=settings.max_images_per_job,
        )
