"""An example of every schema of the OpenAPI document, put together from examples of its fields.

Schemas and fields may carry their own. What they do not carry is looked up here, by schema and field or by the field
alone, so that one job, one face and one caption go through the whole document. A test holds each example against its
schema.
"""

from typing import Any

JOB = "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57"
OTHER = "0d3c2f4e-5b0a-4c53-9d4e-1f6f0f6f2a11"
DIGEST = "3c884eba6092d70fb58b0088e180358014d88ade3cab43fa7d313148c8822cb2"
CAPTION = "A woman with a broad smile."
BY_FORMAT: dict[str, Any] = {
    "uuid": JOB,
    "date-time": "2026-11-24T05:00:00Z",
    "uri": "https://example.org/portraits/1.jpg",
    "binary": "",
}
BY_TYPE: dict[str, Any] = {"integer": 1, "number": 0.5, "boolean": False, "object": {}}
BY_NAME: dict[str, Any] = {
    "Association.terms": ["smile", "smiling"],
    "Association.contribution": 0.12,
    "Association.difference": 0.08,
    "BundleName.name": "compact",
    "CaptionerCount.name": "describer",
    "Difference.clear": True,
    "Explanation.attention": [[0.25, 0.25, 0.25, 0.25]],
    "Explanation.contributions": [[0.02, -0.01, 0.05, 0.0]],
    "Explanation.grid": [2, 2],
    "FailedAttempt.detail": "The link could not be fetched just now.",
    "FailedAttempt.reason": "fetch_failed",
    "FaceResult.crop_box": [80.0, 60.0, 340.0, 320.0],
    "HeldUp.detail": "The captioning server does not answer as it should.",
    "HeldUp.reason": "captioner_unavailable",
    "Health.checks": {"database": "ok", "broker": "ok", "storage": "ok"},
    "Health.status": "ok",
    "Insights.notes": ["An association is not a cause."],
    "Insights.warnings": [],
    "Insights.flags": {"small": 3},
    "JobStatus.counts": {"succeeded": 9, "skipped": 1},
    "JobStatus.name": "spring campaign",
    "Model.card": {"name": "compact", "summary": "what it is, what it learned from, and how far to trust it"},
    "Model.name": "compact",
    "Problem.code": "not_found",
    "Problem.detail": f"There is no job {JOB}.",
    "Problem.status": 404,
    "Problem.title": "Not Found",
    "Problem.type": "about:blank",
    "ScoreDistribution.quartiles": [0.42, 0.51, 0.63],
    "StageProgress.stage": "scoring",
    "WhyScore.grid": [2, 2],
    "WhyScore.regions": [0.3, -0.1, 0.05, 0.0],
    "Word.contribution": 0.25,
    "Word.end": 26,
    "Word.start": 21,
    "Word.text": "smile",
    "box": [100.0, 80.0, 320.0, 300.0],
    "bundle": "compact",
    "caption": CAPTION,
    "captioner": "describer",
    "custom_id": "sku-1807",
    "detail": None,
    "digest": DIGEST,
    "errors": None,
    "flags": ["small"],
    "grid": [2, 2],
    "image": "portraits/1.jpg",
    "label": "spring",
    "labels": ["spring"],
    "landmarks": [[160.0, 150.0], [240.0, 150.0], [200.0, 190.0], [165.0, 240.0], [235.0, 240.0]],
    "limit": None,
    "links": {"self": f"/v1/jobs/{JOB}", "results": f"/v1/jobs/{JOB}/results"},
    "maximum": None,
    "message": "a sentence for people",
    "metadata": {"order": 1807},
    "name": "portraits/1.jpg",
    "next_cursor": None,
    "notes": ["An association is not a cause."],
    "percentile": 71.2,
    "reason": None,
    "score": 0.61,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "terms": ["smile"],
    "uncertainty": 0.08,
    "url": "https://example.org/portraits/1.jpg",
    "version": "1",
    "warnings": [],
}


class NoExample(LookupError):
    """A field has no example, and none can be thought up."""


def complete(schemas: dict[str, Any]) -> None:
    """Give an example to every schema that has none. Raises NoExample, naming a field that needs one."""
    for name, schema in schemas.items():
        if "enum" not in schema:
            schema.setdefault("examples", [_example(schema, name, "", schemas)])


def _example(schema: dict[str, Any], owner: str, field: str, schemas: dict[str, Any]) -> Any:
    for given in (f"{owner}.{field}", field):
        if given in BY_NAME and "examples" not in schema and "$ref" not in schema:
            return BY_NAME[given]
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        named = schema["$ref"].rpartition("/")[2]
        return _example(schemas[named], named, "", schemas)
    for fixed in ("example", "const", "default"):
        if schema.get(fixed) is not None:
            return schema[fixed]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], owner, field, schemas)
    return _built(schema, owner, field, schemas)


def _built(schema: dict[str, Any], owner: str, field: str, schemas: dict[str, Any]) -> Any:
    """An example by what the schema says of its type."""
    kind = schema.get("type")
    if "properties" in schema:
        return {name: _example(each, owner, name, schemas) for name, each in schema["properties"].items()}
    if kind == "array":
        items = schema.get("prefixItems") or [schema["items"]]
        return [_example(each, owner, field, schemas) for each in items]
    if schema.get("format") in BY_FORMAT:
        return BY_FORMAT[schema["format"]]
    if kind in ("integer", "number") and "minimum" in schema:
        return int(schema["minimum"])
    if kind in BY_TYPE:
        return BY_TYPE[kind]
    raise NoExample(f"{owner}.{field} needs an example")
