"""The OpenAPI document: valid, complete, and true to the code."""

import json
import re
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

import services.api
from services.api import problems
from services.api.authentication import is_public, scope_needed
from services.api.document import METHODS, codes_by_status
from services.api.factory import create_app
from services.api.problems import RequestError
from shared.errors import TransientError
from tests.integration.api.conftest import problem

# Routes that are no operations of the API: the document itself and the pages that show it.
NOT_DOCUMENTED = re.compile(r"/|/openapi.json|/docs.*|/page/.*|/samples.*")


@pytest.fixture
def document(client) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.mimetype == "application/json"
    return answer.get_json()


def operations(document):
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def below(parent):
    return [each for child in parent.__subclasses__() for each in [child, *below(child)]]


def resolved(document, node):
    while "$ref" in node:
        parts = node["$ref"].removeprefix("#/").split("/")
        node = document
        for part in parts:
            node = node[part]
    return node


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    errors = [
        f"{'/'.join(map(str, error.path))}: {error.message}"
        for error in OpenAPIV31SpecValidator(document).iter_errors()
    ]
    assert errors == []


def test_every_route_is_in_it_with_every_method(client, document):
    there = {name for name, _ in operations(document)}
    expected = set()
    for rule in client.application.url_map.iter_rules():
        if not NOT_DOCUMENTED.fullmatch(rule.rule):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            expected |= {f"{method} {path}" for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert there == expected


def test_every_code_of_a_refusal_is_in_it(document):
    """Every module is imported here: a refusal in one that the app does not use by itself would be missed otherwise."""
    for module in walk_packages(services.api.__path__, "services.api."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    listed = set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    by_status = {status: set(codes) for status, codes in codes_by_status()}
    assert listed == set().union(*by_status.values())
    for error in {RequestError, *below(RequestError)}:
        assert error.code in by_status[int(error.status)], error


def test_every_refusal_of_every_operation_is_a_problem_with_its_codes(document):
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400" or name == "GET /readyz":
                continue
            assert answer == {"$ref": f"#/components/responses/Problem{status}"}, f"{name} {status}"
            assert list(resolved(document, answer)["content"]) == ["application/problem+json"]


def test_every_operation_says_which_key_it_takes(client, document):
    rules = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule): rule.rule for rule in client.application.url_map.iter_rules()
    }
    for name, operation in operations(document):
        method, path = name.split()
        if is_public(rules[path]):
            assert operation["security"] == [], name
            continue
        scope = scope_needed(rules[path], method)
        assert operation["security"][0] == {"key": [] if scope is None else [scope]}, name
        assert {"401", "403", "429", "503"} <= set(operation["responses"]), name
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_a_service_without_keys_says_that_they_are_optional(settings, document):
    assert {} in document["paths"]["/v1/models"]["get"]["security"]
    app = create_app(settings.model_copy(update={"keys": "required"}))
    assert {} not in app.api_doc["paths"]["/v1/models"]["get"]["security"]
    app.extensions["facemem"].database.dispose()


def test_every_operation_is_described_and_named_once(document):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation.get("description"), name


def test_every_schema_has_an_example_that_fits_it(document):
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:document", resource)
    for name, schema in document["components"]["schemas"].items():
        if "enum" in schema:
            continue
        check = Draft202012Validator(
            {"$ref": f"urn:document#/components/schemas/{name}"}, registry=registry, format_checker=FormatChecker()
        )
        for example in schema["examples"]:
            errors = [f"{error.json_path}: {error.message}" for error in check.iter_errors(example)]
            assert errors == [], f"{name}: {json.dumps(example)[:500]}"


def test_two_models_never_share_a_name(document):
    """Else the document would describe one of them where the other is meant."""
    titles: dict[str, set[str]] = {}
    for model in below(BaseModel):
        if model.__module__.startswith("services.api."):
            titles.setdefault(model.model_json_schema().get("title", ""), set()).add(
                f"{model.__module__}.{model.__name__}"
            )
    shared = {title: models for title, models in titles.items() if len(models) > 1}
    assert not shared


@pytest.mark.parametrize(
    ("operation", "status", "header"),
    [
        ("POST /v1/jobs", "202", "Location"),
        ("GET /v1/jobs/{job_id}", "200", "ETag"),
        ("GET /v1/jobs/{job_id}", "200", "Retry-After"),
        ("GET /v1/models", "200", "RateLimit-Remaining"),
    ],
)
def test_headers_that_clients_need_are_in_it(document, operation, status, header):
    assert header in dict(operations(document))[operation]["responses"][status]["headers"]


@pytest.mark.parametrize(
    ("operation", "header"),
    [
        ("POST /v1/jobs", "Idempotency-Key"),
        ("GET /v1/jobs/{job_id}", "If-None-Match"),
        ("GET /v1/jobs/{job_id}/events", "Last-Event-ID"),
    ],
)
def test_headers_that_requests_may_have_are_in_it(document, operation, header):
    parameters = dict(operations(document))[operation]["parameters"]
    assert header.lower() in {each["name"].lower() for each in parameters if each["in"] == "header"}


@pytest.mark.parametrize(
    ("operation", "media_type"),
    [
        ("GET /v1/jobs/{job_id}/events", "text/event-stream"),
        ("GET /v1/faces/{face_id}/crop", "image/jpeg"),
        ("GET /v1/faces/{face_id}/heatmap", "image/png"),
        ("GET /v1/jobs/{job_id}/export", "text/csv"),
    ],
)
def test_what_is_not_json_says_what_it_is(document, operation, media_type):
    assert media_type in dict(operations(document))[operation]["responses"]["200"]["content"]


def test_parts_that_are_away_have_codes_too(document):
    listed = set(document["components"]["responses"]["Problem503"]["content"]["application/problem+json"]["examples"])
    assert {"temporarily_unavailable", "storage_unavailable"} <= listed
    assert issubclass(problems.TransientError, TransientError)


def test_the_document_is_what_a_client_meets(client):
    problem(client.get("/v1/jobs/00000000-0000-4000-8000-000000000000"), 404, "not_found")
