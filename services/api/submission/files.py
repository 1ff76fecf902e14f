"""Files as the parts of a form (multipart/form-data)."""

from flask import Request

from services.api.problems import InvalidSubmission, LimitExceeded
from services.api.submission.multipart import SentField, parts
from services.api.submission.storing import Storing
from shared.settings import Settings

# The multipart field that carries the images.
FILES_FIELD = "images"
# Fields beside the files, each label counted. There are fewer; the rest is for the answer that names the unknown ones.
MAX_FIELDS = 64


def receive(request: Request, settings: Settings, storing: Storing) -> list[tuple[str, str]]:
    """Stores the files, and returns the fields beside them. Raises RequestError for what cannot be read."""
    boundary = request.mimetype_params.get("boundary", "").encode(errors="replace")
    if not boundary:
        raise InvalidSubmission("The Content-Type names no boundary; it must be the one that parts the body.")
    fields: list[tuple[str, str]] = []
    for part in parts(request.stream, boundary, settings.max_file_bytes):
        if isinstance(part, SentField):
            fields.append((part.name, part.value))
            if len(fields) > MAX_FIELDS:
                raise LimitExceeded(
                    f"The form has more than {MAX_FIELDS} fields beside its files.",
                    limit="max_fields",
                    maximum=MAX_FIELDS,
                )
        elif part.name != FILES_FIELD:
            part.file.close()
            raise InvalidSubmission(f"Send files in the field {FILES_FIELD!r}, not {part.name!r}.")
        else:
            storing.add(part.filename, part.file)
    storing.finish()
    if not storing.records.number:
        raise InvalidSubmission(f"Send at least one file, with its file name, in the field {FILES_FIELD!r}.")
    return fields
