"""What a submission says."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.api.schemas.fields import LINK_LENGTH, BundleWanted, Metadata, Name, _storable
from shared.jobs.states import Priority

CUSTOM_ID_LENGTH = 200
LABEL_LENGTH = 64
MAX_LABELS = 16
DAY = 24 * 60 * 60
# Further ahead nobody plans, and every instant up to there is one that Postgres and Python can write down.
MAX_DEADLINE_SECONDS = 365 * DAY
MAX_RETENTION_SECONDS = 3650 * DAY
# Of the rejected lines that a preview shows one by one.
SHOWN_REJECTIONS = 100

Label = Annotated[str, Field(min_length=1, max_length=LABEL_LENGTH), AfterValidator(_storable)]


def _each_once(labels: list[str]) -> list[str]:
    return list(dict.fromkeys(labels))


def _no_number(value: Any) -> Any:
    """Words mean yes or no, numbers do not."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Labels = Annotated[list[Label], Field(max_length=MAX_LABELS), AfterValidator(_each_once)]
Deadline = Annotated[int, Field(ge=1, le=MAX_DEADLINE_SECONDS), BeforeValidator(_no_truth)]
Retention = Annotated[int, Field(ge=1, le=MAX_RETENTION_SECONDS), BeforeValidator(_no_truth)]
CustomId = Annotated[str, Field(min_length=1, max_length=CUSTOM_ID_LENGTH), AfterValidator(_storable)]


class Link(BaseModel):
    """A line of a manifest: an image to be fetched, from the web, a bucket, or an upload."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, AfterValidator(_storable)] = Field(
        min_length=1,
        max_length=LINK_LENGTH,
        description="https://…, s3://bucket/key, or the `url` of an upload (upload:ID)",
        examples=["https://example.org/portrait.jpg"],
    )
    custom_id: CustomId | None = Field(
        None,
        description="your id of the image, echoed back wherever it is shown",
        examples=["portrait-7"],
    )
    name: Name | None = Field(
        None, description="echoed back; the link itself if not given", examples=["portrait of the crew"]
    )
    metadata: Metadata = Field(default_factory=dict, description="echoed back", examples=[{"row": 1}])


class JobOptions(BaseModel):
    """What a job may say about itself, whichever way its images come."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, description="echoed back", examples=["spring campaign"])
    metadata: Metadata = Field(default_factory=dict, description="echoed back", examples=[{"order": 7}])
    labels: Labels = Field(
        default_factory=list, description="to find and to compare jobs by", examples=[["spring", "print"]]
    )
    priority: Priority = Field(
        Priority.BULK, description="interactive: somebody waits for it; bulk: it may take its time"
    )
    deadline_seconds: Deadline | None = Field(
        None,
        description="images that are unfinished so long after the submission fail",
        examples=[3600],
    )
    retention_seconds: Retention | None = Field(
        None,
        description="so long after its end the job deletes itself; kept until somebody deletes it if not given",
        examples=[604800],
    )
    scores_only: Annotated[bool, BeforeValidator(_no_number)] = Field(
        False, description="whether pixels and captions go as soon as an image has its scores"
    )
    captioner: Literal["auto", "ollama", "describer"] = Field(
        "auto", description="who describes the faces; auto: Ollama if it is there, else the describer"
    )
    bundle: BundleWanted | None = Field(
        None,
        description="name or digest of the bundle to score with, see `GET /v1/models`; else the active one",
        examples=["compact"],
    )


class RescoreOptions(BaseModel):
    """With what a job is to be scored again."""

    model_config = ConfigDict(extra="forbid")

    bundle: BundleWanted = Field(description="name or digest of the bundle, see `GET /v1/models`", examples=["compact"])


class LinkJob(JobOptions):
    """A manifest as one JSON document. An image that cannot be read is one that failed, and fails nothing else."""

    images: list[Link]


class Rejection(BaseModel):
    """A line that cannot be read, or a file that is not taken: it would be an image that failed."""

    position: int = Field(description="place in the set, from 0", examples=[6])
    line: int | None = Field(description="where it begins in the manifest, from 1", examples=[7])
    name: str = Field(description="what could be read of its name", examples=["portrait.jpg"])
    reason: str = Field(examples=["invalid_line"])
    detail: str = Field(examples=["url: Field required"])


class Rejected(BaseModel):
    """What of a submission would not be taken."""

    images: int = Field(examples=[1])
    by_reason: dict[str, int] = Field(examples=[{"invalid_line": 1}])
    first: list[Rejection] = Field(description=f"the first {SHOWN_REJECTIONS}")


class UsedLimit(BaseModel):
    """How much of a limit a submission takes."""

    name: str = Field(examples=["max_images_per_job"])
    used: int = Field(examples=[10_000])
    maximum: int = Field(examples=[1_000_000])


class Preview(BaseModel):
    """What would become of a submission. Nothing of it was kept."""

    images: int = Field(description="in all", examples=[10_000])
    accepted: int = Field(description="of them, those that would be worked on", examples=[9_999])
    rejected: Rejected
    duplicates: int = Field(
        description="images with the same bytes, or the same link, as an earlier one of the set", examples=[3]
    )
    already_scored: int = Field(
        description="images whose bytes you have had scored with this bundle before, as far as they are known by now",
        examples=[12],
    )
    estimate_seconds: float | None = Field(
        description="how long the job would take by itself, at the best pace of the last hour; null if unknown",
        examples=[840.0],
    )
    limits: list[UsedLimit]
