"""What the fuzzer leaves out, for the sake of the run: schemathesis loads this file."""

import json
import os
from typing import Any

import schemathesis

OWN_KEY = os.environ.get("FACEMEM_FUZZ_OWN_KEY", "")


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """The run's own key stays valid: else every answer after that would be 401."""
    return case.method.upper() != "DELETE" or str((case.path_parameters or {}).get("key_id")) != OWN_KEY


@schemathesis.hook
def map_case(context: schemathesis.HookContext, case: schemathesis.Case) -> schemathesis.Case:
    """A minute of waiting for a job that nobody works on would be a minute of the run."""
    query = case.query or {}
    if str(query.get("wait", "")).strip().isdecimal() and 1 < int(query["wait"]) <= 60:
        query["wait"] = 1
    return case


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def json_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A line for each item; what is no list is one line, and what is binary stays it."""
    if isinstance(value, bytes):
        return value
    return b"".join(json.dumps(line).encode() + b"\n" for line in (value if isinstance(value, list) else [value]))


@schemathesis.serializer("application/zip", "application/x-tar", "application/gzip", "text/csv")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Archives and tables are made of bytes that are hardly ever right."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
