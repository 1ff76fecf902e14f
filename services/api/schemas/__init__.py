"""What the API takes and answers. The OpenAPI document is generated from these."""

from services.api.schemas.fields import LINK_LENGTH, METADATA_BYTES, NAME_LENGTH, BundleWanted, Metadata, Name
from services.api.schemas.limits import Limit, Limits
from services.api.schemas.paths import FacePath, HeatmapQuery, ImagePath, JobPath, ModelPath
from services.api.schemas.results import (
    Explanation,
    FaceResult,
    FailedAttempt,
    ImageResult,
    ResultsPage,
    ResultsQuery,
    WhyScore,
    Word,
)
from services.api.schemas.service import Health, Model, Models
from services.api.schemas.status import BundleName, JobStatus, StageProgress
from services.api.schemas.submission import JobOptions, Link, LinkJob, Preview, Rejected, Rejection, RescoreOptions

__all__ = [
    "LINK_LENGTH",
    "METADATA_BYTES",
    "NAME_LENGTH",
    "BundleName",
    "BundleWanted",
    "Explanation",
    "FacePath",
    "FaceResult",
    "FailedAttempt",
    "Health",
    "HeatmapQuery",
    "ImagePath",
    "ImageResult",
    "JobOptions",
    "JobPath",
    "JobStatus",
    "Limit",
    "Limits",
    "Link",
    "LinkJob",
    "Metadata",
    "Model",
    "ModelPath",
    "Models",
    "Name",
    "Preview",
    "Rejected",
    "Rejection",
    "RescoreOptions",
    "ResultsPage",
    "ResultsQuery",
    "StageProgress",
    "WhyScore",
    "Word",
]
