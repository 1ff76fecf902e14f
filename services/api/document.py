"""The OpenAPI document: what blueprints say about their operations, completed by what holds for all of them.

Who may call it, in which ways it can be refused with all the codes that a refusal can have, and the headers that every
answer carries are added here once, so that no operation can forget them.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask_openapi3 import APIBlueprint, OpenAPI
from pydantic import BaseModel

from services.api import examples
from services.api.authentication import is_public, scope_needed
from services.api.bodies import STREAMED
from services.api.problems import Problem, RequestError
from shared.errors import DatabaseUnavailable, PartUnavailable

KEY = "key"
METHODS = ("get", "put", "post", "delete", "patch")
# Codes of refusals that no class of ours stands for: those of HTTP itself, of validation, and of a part that is away.
OTHER_CODES: dict[int, dict[str, str]] = {
    400: {"bad_request": "The request is not HTTP as this service reads it."},
    404: {"not_found": "There is nothing here under this id, or not for this caller."},
    405: {"method_not_allowed": "The header `Allow` lists the methods that there are."},
    413: {"limit_exceeded": "The request is larger than this service accepts."},
    422: {"invalid_request": "A field is missing or does not fit; `errors` names each."},
    500: {"internal_error": "Something broke on our side; it was logged."},
    503: {
        "temporarily_unavailable": "A part of the service does not answer; try again.",
        "disk_full": "The service has no room for what arrives just now; try again.",
        PartUnavailable.code: PartUnavailable.title(),
        DatabaseUnavailable.code: DatabaseUnavailable.title(),
    },
}
PROBLEM = {"$ref": "#/components/schemas/Problem"}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "description": "the id of this request in the logs: what the request itself had in this header, or a new one",
        "schema": {"type": "string"},
    },
    "RateLimit-Limit": {"description": "requests that this key may make in a minute", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "how many of them are left", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "seconds until they are all back", "schema": {"type": "integer"}},
    "Retry-After": {"description": "seconds after which to try again", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "how to present a key, and what this one lacks", "schema": {"type": "string"}},
    "Location": {"description": "where to watch what was accepted", "schema": {"type": "string"}},
}
ON_REFUSALS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
COUNTED = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


class Api(OpenAPI):
    """The app, with a document that is complete, and that knows blueprints which share a path."""

    keys_optional = False

    def register_api(self, api: APIBlueprint, **options: Any) -> None:
        """Register a blueprint. Where another one has operations at the same path, the document keeps both."""
        before = dict(self.paths)
        super().register_api(api, **options)
        for path in before.keys() & api.paths.keys():
            there = {name: getattr(before[path], name) for name in before[path].model_fields_set}
            self.paths[path] = api.paths[path].model_copy(update=there)

    def generate_spec_json(self) -> None:
        """Writes the document."""
        super().generate_spec_json()
        rules = {rule.rule: rule for rule in self.url_map.iter_rules()}
        written = {_as_written(rule): rule for rule in rules}
        components = self.spec_json["components"]
        for path, item in self.spec_json["paths"].items():
            for method in METHODS:
                if method in item:
                    _complete(item[method], written[path], method, self.keys_optional)
        components["responses"] = {f"Problem{status}": _refusal(status, codes) for status, codes in codes_by_status()}
        components["headers"] = HEADERS
        components["securitySchemes"] = {
            KEY: {"type": "http", "scheme": "bearer", "bearerFormat": "fm_<8 signs>_<43 signs>", "description": "a key"}
        }
        everything = sorted({code for _, codes in codes_by_status() for code in codes})
        components["schemas"]["Problem"]["properties"]["code"]["enum"] = everything
        _give_examples(components["schemas"])


def _give_examples(schemas: dict[str, Any]) -> None:
    """Examples of models and of their fields, which the library leaves out; then those that are written elsewhere."""
    for model in _all_below(BaseModel):
        if not model.__module__.startswith("services.api."):
            continue
        ours = model.model_json_schema()
        schema = schemas.get(ours["title"], {})
        if "examples" in ours:
            schema["examples"] = ours["examples"]
        for name, field in ours.get("properties", {}).items():
            if "examples" in field and name in schema.get("properties", {}):
                schema["properties"][name]["examples"] = field["examples"]
    examples.complete(schemas)


def codes_by_status() -> Iterator[tuple[int, dict[str, str]]]:
    """For each status of a refusal, the codes that it may have, with what they mean."""
    by_status = {status: dict(codes) for status, codes in OTHER_CODES.items()}
    for error in _all_below(RequestError):
        by_status.setdefault(int(error.status), {}).setdefault(error.code, error.title())
    for error in _all_below(PartUnavailable):
        by_status[HTTPStatus.SERVICE_UNAVAILABLE].setdefault(error.code, error.title())
    for status in sorted(by_status):
        yield status, dict(sorted(by_status[status].items()))


def _all_below(parent: type[Any]) -> Iterator[type[Any]]:
    for each in parent.__subclasses__():
        yield each
        yield from _all_below(each)


def _as_written(rule: str) -> str:
    """`/v1/jobs/<uuid:job_id>` as OpenAPI writes it: `/v1/jobs/{job_id}`."""
    parts = (part.rpartition(":")[2] if part.startswith("<") else part for part in rule.split("/"))
    return "/".join("{" + part.strip("<>") + "}" if part.endswith(">") else part for part in parts)


def _complete(operation: dict[str, Any], rule: str, method: str, keys_optional: bool) -> None:
    """Adds to an operation what holds for all that are like it."""
    responses = operation["responses"]
    for answer in responses.values():
        answer.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/X-Request-ID"}
    for status in _refusals(operation, rule) | {int(status) for status, each in responses.items() if _is_problem(each)}:
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    if not any(parameters_or_body(operation)):
        responses.pop("422", None)
    if is_public(rule):
        operation["security"] = []
    else:
        needed = scope_needed(rule, method.upper())
        operation["security"] = [{KEY: [] if needed is None else [str(needed)]}, *([{}] if keys_optional else [])]
        for status, answer in responses.items():
            if status < "400":
                headers = answer.setdefault("headers", {})
                headers.update({name: {"$ref": f"#/components/headers/{name}"} for name in COUNTED})
                if status in ("201", "202"):
                    headers.setdefault("Location", {"$ref": "#/components/headers/Location"})
    operation["responses"] = dict(sorted(responses.items()))


def parameters_or_body(operation: dict[str, Any]) -> tuple[bool, bool]:
    """Whether an operation has parameters, and whether it has a body."""
    return bool(operation.get("parameters")), "requestBody" in operation


def _refusals(operation: dict[str, Any], rule: str) -> set[int]:
    """The statuses with which a request to this operation may be refused."""
    parameters, body = parameters_or_body(operation)
    statuses = {400, 503} if rule.startswith("/v1") else {400}
    if not is_public(rule):
        statuses |= {401, 403, 429}
    elif rule in STREAMED:  # its link says who may
        statuses.add(403)
    if "<" in rule:
        statuses.add(404)
    if parameters or body:
        statuses.add(422)
    if body or rule in STREAMED:
        statuses |= {413, 415}
    return statuses


def _is_problem(answer: dict[str, Any]) -> bool:
    return any(content.get("schema") == PROBLEM for content in answer.get("content", {}).values())


def _refusal(status: int, codes: dict[str, str]) -> dict[str, Any]:
    """A response with the problem document, its codes, and an example of each."""
    title = HTTPStatus(status).phrase

    def example(code: str, meaning: str) -> dict[str, Any]:
        value = Problem(type="about:blank", title=title, status=status, code=code, detail=meaning)
        return {"summary": meaning, "value": value.model_dump(exclude_none=True)}

    schema = {"allOf": [PROBLEM, {"properties": {"code": {"enum": list(codes)}, "status": {"const": status}}}]}
    answer: dict[str, Any] = {
        "description": f"{title}. `code` is one of: {', '.join(codes)}.",
        "content": {
            "application/problem+json": {
                "schema": schema,
                "examples": {code: example(code, meaning) for code, meaning in codes.items()},
            }
        },
    }
    names = ("X-Request-ID", *ON_REFUSALS.get(status, ()))
    answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return answer
