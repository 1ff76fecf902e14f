"""Where a listing of faces goes on: opaque to clients, checked when it comes back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from numpy import float32
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from services.api.problems import RequestError
from services.api.schemas.faces import CURSOR_LENGTH, FacesQuery


def as_stored(score: float) -> float:
    """A score as Postgres has it: what is too small for its type is refused by a cast there, and 0 here."""
    return float(float32(score))


class InvalidCursor(RequestError):
    """This is no cursor of this list with these filters. Begin again without one."""

    code = "invalid_cursor"


class FaceCursor(BaseModel):
    """The last face that was listed, and what was known of the set then.

    `beside`: the scored faces that come before it in the order, those of its own score not counted. `as_of` tells
    whether the set is still the one that `beside` and `scored` were counted in.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    listing: str = Field(max_length=16)
    face: int = Field(ge=1, le=2**63 - 1)
    score: Annotated[float, Field(ge=0, le=1), AfterValidator(as_stored)] | None = None
    position: tuple[int, int] | None = None
    beside: int = Field(0, ge=0, le=2**63 - 1)
    scored: int = Field(0, ge=0, le=2**63 - 1)
    as_of: str | None = Field(None, max_length=64)

    def written(self) -> str:
        """The cursor as clients get it."""
        return urlsafe_b64encode(self.model_dump_json(exclude_none=True).encode()).decode().rstrip("=")


def listing(job_id: UUID, query: FacesQuery) -> str:
    """A short name of one list: that job, that order and those filters."""
    filters = query.model_dump_json(exclude={"cursor", "limit"})
    return sha256(f"{job_id} {filters}".encode()).hexdigest()[:16]


def read(job_id: UUID, query: FacesQuery) -> FaceCursor | None:
    """The cursor of a request, if it has one. Raises InvalidCursor, also for that of another list."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor.encode("ascii") + b"=" * (-len(query.cursor) % 4)
        cursor = FaceCursor.model_validate_json(urlsafe_b64decode(padded))
    except (ValueError, ValidationError) as error:
        raise InvalidCursor from error
    by_position = query.order == "position"
    fits = cursor.position is not None if by_position else cursor.score is not None
    if cursor.listing != listing(job_id, query) or not fits or len(query.cursor) > CURSOR_LENGTH:
        raise InvalidCursor
    if cursor.position is not None and not all(0 <= each < 2**31 for each in cursor.position):
        raise InvalidCursor
    return cursor
