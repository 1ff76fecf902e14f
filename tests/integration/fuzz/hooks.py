"""What the fuzzer leaves out, for the sake of the run: schemathesis loads this file."""

import os
from typing import Any

import schemathesis
from schemathesis.core import NotSet

OWN_KEY = os.environ.get("FACEMEM_FUZZ_OWN_KEY", "")
JSON_LINES = ("application/jsonl", "application/x-ndjson")


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Whether a request is sent.

    The run's own key stays valid: else every answer after that would be 401. And a manifest is text in whatever way it
    breaks: an object in the place of that text is a line of it once it is written down, which the API is right to take.
    """
    if case.method.upper() == "DELETE" and str((case.path_parameters or {}).get("key_id")) == OWN_KEY:
        return False
    return case.media_type not in JSON_LINES or isinstance(case.body, str | bytes | NotSet)


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """A minute of waiting for a job that nobody works on would be a minute of the run."""
    query = case.query or {}
    if str(query.get("wait", "")).strip().isdecimal() and 1 < int(query["wait"]) <= 60:
        query["wait"] = 1
    return case


@schemathesis.serializer(*JSON_LINES, "application/zip", "application/x-tar", "application/gzip", "text/csv")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Manifests, tables and archives are made of bytes that are hardly ever right."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
