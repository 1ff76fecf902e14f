"""The scoring stage: reads patches and tokens; writes scores and explanations."""

from threading import Lock
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, insert, update

from shared import metrics
from shared.compute import use_threads
from shared.database.faces import faces_of
from shared.database.tables import Explanation, Face
from shared.jobs.delivery import ClaimedImage
from shared.memorability.catalogue import BundleFacts, Catalogue
from shared.memorability.loaded import Loaded
from shared.memorability.scorer import FaceScore, Scorer
from shared.memorability.states import FaceStates, unpack
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Outcome, Save, Saved, Work


def build(connections: Connections) -> tuple[Work, Save]:
    """Load the default bundle's heads; return the stage's work and save. Other bundles are loaded as jobs come."""
    settings = connections.settings
    computing = Lock()  # one batch at a time, while others come from storage or go there
    use_threads(settings.threads)
    loaded = Loaded(Catalogue(settings.bundle, settings.bundles_folder), load)
    loaded.default(settings.bundle_digest)

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        by_image = faces_of(connections.database, [image.id for image in images])
        faces = [face for image in images for face in by_image[image.id]]
        states: dict[int, FaceStates] = {}
        for key in {face.states_key or "" for face in faces}:
            states |= unpack(connections.objects.get(key))
        with computing:
            scorer = loaded.of(images[0].bundle)  # a batch is of one job, and a job has one bundle
            scores = dict(zip(faces, scorer.score([states[face.id] for face in faces]), strict=True))
        return [Done(image, {face.id: scores[face] for face in by_image[image.id]}) for image in images]

    return work, _save


def load(bundle: BundleFacts) -> Scorer:
    """The heads of a bundle, with a look at the clock."""
    with metrics.MODEL_LOAD_SECONDS.labels("scorer").time():
        return Scorer(bundle)


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    bundles = {face: outcome.image.bundle for outcome in outcomes for face in outcome.output}
    scores = {face: score for outcome in outcomes for face, score in outcome.output.items()}
    if not scores:
        return
    connection.execute(
        update(Face)
        .where(Face.id == bindparam("face"))
        .values(
            score=bindparam("score"),
            uncertainty=bindparam("uncertainty"),
            percentile=bindparam("percentile"),
            bundle=bindparam("scored_with"),
            scored_at=func.now(),
        ),
        [
            {
                "face": face_id,
                "score": score.score,
                "uncertainty": score.uncertainty,
                "percentile": score.percentile,
                "scored_with": bundles[face_id],
            }
            for face_id, score in scores.items()
        ],
    )
    connection.execute(delete(Explanation).where(Explanation.face_id.in_(scores)))
    connection.execute(insert(Explanation), [_explanation(face, score) for face, score in scores.items()])


def _explanation(face_id: int, score: FaceScore) -> dict[str, Any]:
    rows, columns = score.grid
    return {
        "face_id": face_id,
        "logit": score.logit,
        "constant": score.constant,
        "words": [
            {"text": word.text, "start": word.start, "end": word.end, "contribution": round(float(total), 6)}
            for word, total in zip(score.words, score.contributions.sum(axis=1), strict=True)
        ],
        "rows": rows,
        "columns": columns,
        "contributions": score.contributions.astype("<f4").tobytes(),
        "attention": score.attention.astype("<f4").tobytes(),
    }
