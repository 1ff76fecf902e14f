"""What a face would score if its caption were another one."""

from http import HTTPStatus
from uuid import uuid4

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from services.api import owned, quotas, request_log
from services.api.caller import caller
from services.api.parts import parts
from services.api.problems import Problem, RequestError
from services.api.schemas import FacePath, JobStatus
from services.api.schemas.faces import WhatIf
from services.api.status import job_status
from shared.jobs import audit
from shared.jobs.what_if import what_if

api = APIBlueprint("what_if", __name__, url_prefix="/v1", abp_tags=[Tag(name="results", description="Scores and why.")])


class CropNotKept(RequestError):
    """The crop of this face is not kept, so nothing can be scored with other words."""

    code = "crop_not_kept"
    status = HTTPStatus.CONFLICT


@api.post(
    "/faces/<int:face_id>/rescore",
    summary="Try other words for a face",
    responses={HTTPStatus.ACCEPTED: JobStatus, 404: Problem, 409: Problem},
)
def rescore_face(path: FacePath, body: WhatIf) -> Response:
    """Scores the face once more under the caption that you write, as a new job of that one face, ahead of bulk work.

    The face keeps its score; `what_if_of` of the new job's face names it, so that the two can be laid side by side. It
    shows what the model makes of words, not what people would remember. No other job reuses the outcome.
    """
    ours, job_id = parts(), uuid4()
    with ours.writing() as session:
        face = owned.face(session, path.face_id)
        connection = session.connection()
        if not what_if(connection, face.id, job_id, body.caption):
            raise CropNotKept(f"The crop of face {face.id} is not kept, so nothing can be scored with other words.")
        quotas.settle(connection, caller().tenant)
        audit.record(connection, caller().tenant, caller().actor, "face.rescored", face.id, job=job_id)
        status = job_status(session, job_id)
    request_log.accepted(job_id, status.images)
    answer = jsonify(status.model_dump(mode="json"))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = status.links["self"]
    return answer
