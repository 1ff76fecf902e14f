"""Results as a file, however many: nothing is kept in memory but the images that are just being written."""

import re
import unicodedata
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import structlog
from flask import Response, current_app
from flask_openapi3 import APIBlueprint, Tag

from services.api import owned
from services.api.caller import caller
from services.api.exported_images import batches
from services.api.parts import parts
from services.api.places import Places
from services.api.problems import Problem, RequestError
from services.api.schemas import JobPath
from services.api.schemas.export import ExportQuery, Form
from services.export import lines, table, workbook
from shared.database.tables import Job
from shared.jobs import audit

api = APIBlueprint("export", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])

log = structlog.get_logger()

# In each process: an export keeps a thread until its last byte has gone.
MOST_AT_ONCE = 4
CHUNK_BYTES = 1 << 16
NAME_SIGNS = 80

MEDIA_TYPES = {
    Form.JSONL: "application/jsonl",
    Form.CSV: "text/csv",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ExportsBusy(RequestError):
    """Other exports are being written; ask again in some seconds."""

    code = "exports_busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE


@api.get(
    "/jobs/<uuid:job_id>/export",
    summary="Export results",
    responses={
        200: {
            "description": "The file.",
            "content": {
                media_type: {"schema": {"type": "string", **({"format": "binary"} if form == Form.XLSX else {})}}
                for form, media_type in MEDIA_TYPES.items()
            },
        },
        404: Problem,
        503: Problem,
    },
)
def export(path: JobPath, query: ExportQuery) -> Response:
    """One record for each face that has a score, and one for each image that has none, in the order of submission;
    also while the job runs: then of what there is. If something breaks on the way, or the job is deleted, the last line
    says so: `{"error": {"code": ..., "detail": ...}}`, or in CSV a row with the state `error`.
    """
    exports: Places = current_app.extensions["facemem_exports"]
    end = exports.take()
    if end is None:
        raise ExportsBusy(limit="max_exports", maximum=MOST_AT_ONCE)
    try:
        with parts().writing() as session:
            job = owned.job(session, path.job_id)
            name = file_name(job, query.format)
            audit.record(session, caller().tenant, caller().actor, "results.exported", job.id, format=query.format)
        answer = _workbook(path) if query.format == Form.XLSX else _lines(path, query.format)
    except BaseException:
        end()
        raise
    answer.call_on_close(end)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def file_name(job: Job, form: Form) -> str:
    """A name that every system takes: what can be written so of the job's name, and the beginning of its id."""
    plain = unicodedata.normalize("NFKD", job.name or "").encode("ascii", "ignore").decode()
    said = re.sub(r"[^A-Za-z0-9]+", "-", plain)[:NAME_SIGNS].strip("-")
    return f"facemem-{f'{said}-' if said else ''}{str(job.id)[:8]}.{form}"


def _lines(path: JobPath, form: Form) -> Response:
    write, broken_off = (
        (table.csv_lines, table.broken_off) if form == Form.CSV else (lines.json_lines, lines.broken_off)
    )
    begin = table.headings() if form == Form.CSV else ""
    images = batches(parts(), caller().tenant, path.job_id)
    # The first batch is read before the answer begins: what is wrong by then still gets a proper refusal.
    first = next(images, [])

    def written() -> Iterator[bytes]:
        yield from _chunks(begin + write(first))
        try:
            for batch in images:
                yield from _chunks(write(batch))
        # Whatever it is, the status was sent long ago, and the server ends a body properly even if we raise here. So
        # the file itself has to say that it is not whole.
        except Exception as error:
            log.exception("export_broke", job=str(path.job_id))
            yield broken_off(*_told(error)).encode()

    return Response(written(), mimetype=MEDIA_TYPES[form])


def _chunks(text: str) -> Iterator[bytes]:
    """In pieces, because the server keeps a number of them for a client that is slow."""
    content = text.encode()
    for begin in range(0, len(content), CHUNK_BYTES):
        yield content[begin : begin + CHUNK_BYTES]


def _told(error: Exception) -> tuple[str, str]:
    """What a client is told of an error: its code, and a sentence."""
    if isinstance(error, RequestError):
        return error.code, error.detail
    return "export_broken", "Something broke on our side; it was logged. Export the job again."


def _workbook(path: JobPath) -> Response:
    """A workbook can only be sent when it is finished; until then it is a file on disk, which has no name by the time
    that it is sent, so that nothing can be left behind.
    """
    with TemporaryDirectory(prefix="facemem-export-") as folder:
        place = Path(folder) / "results.xlsx"
        workbook.write(chain.from_iterable(batches(parts(), caller().tenant, path.job_id)), place)
        size = place.stat().st_size
        file: BinaryIO = place.open("rb")
    answer = Response(iter(partial(file.read, CHUNK_BYTES), b""), mimetype=MEDIA_TYPES[Form.XLSX])
    answer.call_on_close(file.close)
    answer.content_length = size
    return answer
