"""OpenAPI's description of what a submission may be, made of the same schemas that it is checked by."""

from typing import Any

from services.api.idempotency import HEADER, MAX_KEY_LENGTH
from services.api.schemas import JobOptions, LinkJob
from services.api.submission.files import FILES_FIELD
from services.api.submission.options import DRY_RUN
from services.api.submission.reading import CSV, FORM, JSON, JSON_LINES, TAR, ZIP

_BINARY = {"type": "string", "format": "binary"}
_LINES = '{"url": "https://example.org/a.jpg", "custom_id": "a-1"}\n{"url": "s3://archive/2024/b.jpg"}\n'
_TABLE = "url,custom_id,name,photographer\nhttps://example.org/a.jpg,a-1,crew,Doe\n"


def _options() -> dict[str, Any]:
    """The options of a job as texts stand for them, which cannot be null; with nothing that refers elsewhere."""
    described = JobOptions.model_json_schema()
    shared = described.pop("$defs", {})
    return {name: _not_null(_inlined(schema, shared)) for name, schema in described["properties"].items()}


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    some = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(some) != 1:
        return schema
    return {key: value for key, value in schema.items() if key not in ("anyOf", "default")} | some[0]


def _inlined(schema: Any, shared: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(each, shared) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined(shared[schema["$ref"].rpartition("/")[2]], shared) | rest
    return {key: _inlined(value, shared) for key, value in schema.items()}


def _document() -> dict[str, Any]:
    described = LinkJob.model_json_schema()
    shared = described.pop("$defs", {})
    made: dict[str, Any] = _inlined(described, shared)
    return made


def _form() -> dict[str, Any]:
    files = {
        "type": "array",
        "items": _BINARY,
        "minItems": 1,
        "description": "JPEG, PNG or WebP files; repeat the field for each",
    }
    return {
        "type": "object",
        "properties": {FILES_FIELD: files, **_options()},
        "required": [FILES_FIELD],
        "additionalProperties": False,
    }


def _body() -> dict[str, Any]:
    """Every media type, once for each way of writing it that people use."""
    lines = {"schema": {"type": "string", "description": "one object of `images` a line"}, "example": _LINES}
    table = {
        "schema": {
            "type": "string",
            "description": "the first line names the columns: url, custom_id, name; others become metadata",
        },
        "example": _TABLE,
    }
    archive = {"schema": {**_BINARY, "description": "JPEG, PNG or WebP files"}}
    content: dict[str, Any] = {FORM: {"schema": _form()}, JSON: {"schema": _document()}}
    content |= dict.fromkeys(JSON_LINES[:2], lines) | {CSV: table}
    content |= dict.fromkeys((ZIP[0], *TAR[:2]), archive)
    return {"required": True, "content": content}


def _parameters() -> list[dict[str, Any]]:
    """The same options in the address, for bodies that have no room for them."""
    made: list[dict[str, Any]] = [
        {
            "name": HEADER,
            "in": "header",
            "description": "a submission repeated under the same key gets the first one's answer",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": "^[!-~]+$"},
        },
        {
            "name": DRY_RUN,
            "in": "query",
            "description": "only say what would become of it",
            "schema": {"type": "boolean", "default": False},
        },
    ]
    for name, schema in _options().items():
        parameter = {"name": name, "in": "query", "description": schema.pop("description", "")}
        if name == "metadata":
            schema = {"type": "string", "contentMediaType": "application/json", "examples": ['{"order": 7}']}
        made.append(parameter | {"schema": schema})
    return made


REQUEST_BODY = _body()
PARAMETERS = _parameters()
