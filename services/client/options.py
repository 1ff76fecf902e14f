"""What a job may be told when it is submitted, in the form that each way of submitting takes it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class Options(TypedDict, total=False):
    """What a job may be told. Each may be left out; then the service decides."""

    name: str | None
    """Echoed with every answer."""
    metadata: Mapping[str, Any] | None
    """Likewise."""
    labels: Sequence[str]
    """To find and to compare jobs by."""
    priority: Literal["interactive", "bulk"] | None
    deadline_seconds: int | None
    """What is unfinished so long after the submission fails."""
    retention_seconds: int | None
    """So long after its end the job deletes itself."""
    scores_only: bool
    """Whether pixels and captions go as soon as an image has its scores."""
    captioner: str | None
    bundle: str | None
    """The name or digest of a bundle of the service."""


def members(options: Options) -> dict[str, Any]:
    """As members of a JSON document; without those that were not given."""
    return {name: value for name, value in options.items() if value not in (None, (), [], False)}


def fields(options: Options) -> dict[str, Any]:
    """As fields of a form or parameters of a query: metadata as JSON text, a label each time it is named."""
    texts = members(options)
    if "metadata" in texts:
        texts["metadata"] = json.dumps(dict(texts["metadata"]))
    if "labels" in texts:
        texts["labels"] = list(texts["labels"])
    return {name: "true" if value is True else value for name, value in texts.items()}
