"""What this service accepts at most."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.api import bodies, export, idempotency, set_findings, watch
from services.api.keys.stored import MOST_KEYS
from services.api.parts import parts
from services.api.schemas import LINK_LENGTH, METADATA_BYTES, NAME_LENGTH, Limit, Limits
from services.api.schemas import submission as schemas
from services.api.schemas.fields import METADATA_DEPTH
from services.api.schemas.status import MAX_IDS, MAX_WAIT_SECONDS
from services.api.submission import multipart, tars, unpacking
from services.api.submission.files import MAX_FIELDS
from services.api.submission.lines import MAX_LINE_BYTES
from shared.jobs.rescore import MOST_TRIES
from shared.settings import Settings

api = APIBlueprint(
    "limits", __name__, url_prefix="/v1", abp_tags=[Tag(name="service", description="The service itself.")]
)

# Those that an operator may change; their descriptions stand with the settings.
SETTINGS = (
    "max_images_per_job",
    "max_file_bytes",
    "max_submission_bytes",
    "max_manifest_bytes",
    "max_unpacked_bytes",
    "max_pixels",
    "detection_max_faces",
    "max_attempts",
    "idempotency_hours",
    "retention_days",
    "uploads_at_once",
    "upload_seconds",
    "max_stored_bytes",
    "max_queued_images",
    "requests_per_minute",
    "pictures_per_minute",
    "submissions_per_minute",
    "max_webhooks",
    "webhook_kept_days",
)
FIXED = (
    Limit(name="max_keys", value=MOST_KEYS, description="keys of one tenant that are valid"),
    Limit(
        name="max_json_bytes", value=bodies.MOST_JSON_BYTES, description="bytes of a body of JSON that is no manifest"
    ),
    Limit(name="max_rescorings", value=MOST_TRIES, description="jobs that score one job's faces with the same bundle"),
    Limit(name="max_ids", value=MAX_IDS, description="ids of jobs in one call"),
    Limit(name="max_wait_seconds", value=MAX_WAIT_SECONDS, description="that an answer is kept back for"),
    Limit(name="max_watchers", value=watch.MOST_AT_ONCE, description="long polls and event streams of one process"),
    Limit(name="max_exports", value=export.MOST_AT_ONCE, description="exports at the same time of one process"),
    Limit(name="max_insights", value=set_findings.MOST_AT_ONCE, description="insights worked out at the same time"),
    Limit(name="max_archive_ratio", value=unpacking.MAX_RATIO, description="times that an archive may grow unpacked"),
    Limit(name="max_head_bytes", value=tars.MAX_HEAD_BYTES, description="bytes of the heads of one member of a tar"),
    Limit(name="max_line_bytes", value=MAX_LINE_BYTES, description="bytes of one line of a manifest"),
    Limit(name="max_fields", value=MAX_FIELDS, description="fields of a form beside its files"),
    Limit(name="max_field_bytes", value=multipart.MAX_FIELD_BYTES, description="bytes of a field that is no file"),
    Limit(name="max_url_length", value=LINK_LENGTH, description="characters of a link"),
    Limit(name="max_name_length", value=NAME_LENGTH, description="characters of a name"),
    Limit(name="max_custom_id_length", value=schemas.CUSTOM_ID_LENGTH, description="characters of a custom_id"),
    Limit(name="max_metadata_bytes", value=METADATA_BYTES, description="bytes of an image's or a job's metadata"),
    Limit(name="max_metadata_depth", value=METADATA_DEPTH, description="lists and objects inside each other there"),
    Limit(name="max_labels", value=schemas.MAX_LABELS, description="labels of a job"),
    Limit(name="max_label_length", value=schemas.LABEL_LENGTH, description="characters of a label"),
    Limit(name="max_deadline_seconds", value=schemas.MAX_DEADLINE_SECONDS, description="until a job's deadline"),
    Limit(name="max_retention_seconds", value=schemas.MAX_RETENTION_SECONDS, description="of a job's retention"),
    Limit(
        name="max_idempotency_key_length",
        value=idempotency.MAX_KEY_LENGTH,
        description="characters of an Idempotency-Key",
    ),
)


@api.get("/limits", summary="See the limits", responses={200: Limits})
def show() -> dict[str, Any]:
    """Every limit that a request can meet, by the name that the error has then."""
    configured = parts().settings
    from_settings = [
        Limit(name=name, value=getattr(configured, name), description=Settings.model_fields[name].description or "")
        for name in SETTINGS
        if name in Settings.model_fields
    ]
    return Limits(limits=[*from_settings, *FIXED]).model_dump(mode="json")
