"""Ids in the path of a request."""

from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas.parameters import Parameters


class JobPath(BaseModel):
    """A job's id in the path."""

    job_id: UUID


class UploadPath(BaseModel):
    """An upload's id in the path."""

    upload_id: UUID


class ModelPath(BaseModel):
    """A bundle's digest in the path."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")


class ImagePath(BaseModel):
    """An image's id in the path."""

    image_id: int = Field(ge=1, le=2**63 - 1)


class FacePath(BaseModel):
    """A face's id in the path."""

    face_id: int = Field(ge=1, le=2**63 - 1)


class HeatmapQuery(Parameters):
    """Whose regions the map shows."""

    word: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="place in the explanation's `words`, from 0; all words together if not given",
    )
