"""Direct uploads."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.fields import NAME_LENGTH, Name
from services.api.schemas.parameters import Parameters

# More is refused before it is looked at; the setting `uploads_at_once` may allow fewer.
MOST_FILES = 10_000
MAX_TOKEN = 200

AN_ID = "3b241101-e2bb-4255-8caf-4136c566a962"
A_FILE: dict[str, Any] = {
    "name": "portrait.jpg",
    "size": 183_402,
    "media_type": "image/jpeg",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
A_PUT: dict[str, Any] = {
    "url": f"https://storage.example/facemem/uploads/{AN_ID}?X-Amz-Expires=86400&X-Amz-Signature=0f1e",
    "headers": {"Content-Type": "image/jpeg", "Content-Length": "183402"},
}
AN_UPLOAD: dict[str, Any] = {
    "id": AN_ID,
    "url": f"upload:{AN_ID}",
    "received": False,
    "put": A_PUT,
    "expires_at": "2026-11-25T05:00:00Z",
}


class NewUpload(BaseModel):
    """A file that is to be uploaded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [A_FILE]})

    name: Annotated[Name, Field(min_length=1, max_length=NAME_LENGTH)] = Field(description="for you to know it by")
    size: int = Field(ge=1, le=2**63 - 1, description="in bytes; a file of another size is refused")
    media_type: Literal["image/jpeg", "image/png", "image/webp"] = Field(
        description="a request with another one is refused, and so is a file that is not of this format"
    )
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="of the file. It is checked; and a file that has arrived already need not be sent again",
    )


class NewUploads(BaseModel):
    """Files that are to be uploaded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"files": [A_FILE]}]})

    files: list[NewUpload] = Field(min_length=1, max_length=MOST_FILES)


class SignedRequest(BaseModel):
    """The request that uploads the file: PUT to `url` with these headers and no others, the file as its body."""

    model_config = ConfigDict(json_schema_extra={"examples": [A_PUT]})

    url: str
    headers: dict[str, str]


class Upload(BaseModel):
    """A place for one file, until it is submitted."""

    model_config = ConfigDict(json_schema_extra={"examples": [AN_UPLOAD]})

    id: UUID
    url: str = Field(description="what a line of a submission calls it")
    received: bool = Field(description="whether the file is there already and need not be sent")
    put: SignedRequest | None = Field(description="how to send it; null if it was received")
    expires_at: datetime = Field(description="until then it must be sent and submitted, or it is removed")


class Uploads(BaseModel):
    """Places for files, in the order in which they were announced."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"uploads": [AN_UPLOAD]}]})

    uploads: list[Upload]


class UploadStatus(BaseModel):
    """What became of an upload."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **A_FILE,
                    "id": AN_ID,
                    "url": f"upload:{AN_ID}",
                    "received": True,
                    "job": None,
                    "created_at": "2026-11-24T05:00:00Z",
                    "expires_at": "2026-11-25T05:00:00Z",
                }
            ]
        }
    )

    id: UUID
    url: str
    name: str
    size: int
    media_type: str
    sha256: str | None
    received: bool | None = Field(description="whether the file has arrived; null once a job has taken it")
    job: UUID | None = Field(description="the job that took it")
    created_at: datetime
    expires_at: datetime


class ContentQuery(Parameters):
    """What allows a file to be sent."""

    token: str = Field("", max_length=MAX_TOKEN, description="comes with the link")
