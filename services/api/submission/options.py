"""What a submission says about its job: in the address, in the fields of a form, in the members of a document."""

from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from services.api.problems import InvalidSubmission
from services.api.schemas import JobOptions
from services.api.submission import strict_json
from services.api.submission.refusals import OptionTwice

# The parameter of the address that is no option of the job.
DRY_RUN = "dry_run"
_YES_NO = {"true": True, "false": False}


def in_query(parameters: MultiDict[str, str]) -> tuple[dict[str, Any], bool]:
    """The options in the address, and whether only a preview is asked for."""
    pairs = [(name, value) for name, value in parameters.items(multi=True) if name != DRY_RUN]
    wanted = parameters.getlist(DRY_RUN)
    if len(wanted) > 1 or (wanted and wanted[0] not in _YES_NO):
        raise InvalidSubmission(f"'{DRY_RUN}' must be true or false.")
    return from_texts(pairs), bool(wanted) and _YES_NO[wanted[0]]


def from_texts(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The options that texts stand for. `metadata` is JSON, `labels` may be repeated, the others are plain.

    Raises OptionTwice, and InvalidSubmission for metadata that is no JSON.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name == "labels":
            found.setdefault(name, []).append(value)
        elif name in found:
            raise OptionTwice(f"The option {name!r} is given twice.")
        else:
            found[name] = _metadata(value) if name == "metadata" else value
    return found


def _metadata(text: str) -> Any:
    try:
        return strict_json.loads(text)
    except ValueError as error:
        raise InvalidSubmission(f"The field 'metadata' is not JSON: {error}") from error


def together(query: Mapping[str, Any], body: Mapping[str, Any]) -> JobOptions:
    """The options of address and body. Raises OptionTwice, and ValidationError for what does not fit."""
    twice = sorted(query.keys() & body.keys())
    if twice:
        raise OptionTwice(f"The option {twice[0]!r} is given in the address and in the body.")
    return JobOptions.model_validate({**query, **body})
