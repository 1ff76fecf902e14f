"""Made-up results, as the API would answer them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.api.schemas import BundleName, Explanation, FaceResult, ImageResult, JobStatus, Word
from shared.jobs.states import Stage

BUNDLE = BundleName(name="compact", digest="3fa4" * 16)


def face(number: int = 0, **changes: Any) -> FaceResult:
    words = [
        Word(text="smile,", start=2, end=8, contribution=0.3),
        Word(text="A", start=0, end=1, contribution=-0.2),
        Word(text="wide.", start=9, end=14, contribution=0.1),
        Word(text="hat", start=15, end=18, contribution=0.0),
    ]
    fields: dict[str, Any] = {
        "id": 10 + number,
        "face": number,
        "score": 0.5,
        "uncertainty": 0.1,
        "percentile": 71.2,
        "box": (20.0, 40.0, 60.0, 90.0),
        "landmarks": [],
        "confidence": 0.99,
        "flags": [],
        "caption": "A smile, wide. hat",
        "captioner": {},
        "words": words,
        "bundle": BUNDLE,
        "explanation": None,
        "links": {},
    }
    return FaceResult(**(fields | changes))


def why(face: FaceResult) -> Explanation:
    """An explanation whose parts add up: each word of the face at 2 x 2 regions, all it adds in one of them."""
    words = sorted(face.words or [], key=lambda word: word.start)
    contributions = [[0.0] * place + [word.contribution] + [0.0] * (3 - place) for place, word in enumerate(words)]
    constant = -0.5
    return Explanation(
        face=face.id,
        logit=constant + sum(word.contribution for word in words),
        constant=constant,
        words=words,
        grid=(2, 2),
        contributions=contributions,
        attention=[[0.25] * 4 for _ in words],
    )


def image(name: str = "a.jpg", *faces: FaceResult, **changes: Any) -> ImageResult:
    fields: dict[str, Any] = {
        "id": 1,
        "position": 0,
        "image": name,
        "metadata": {},
        "state": "succeeded" if faces else "skipped",
        "stage": "scoring",
        "reason": None if faces else "no_face",
        "detail": None,
        "width": 200,
        "height": 100,
        "attempts": [],
        "faces": list(faces),
        "links": {"photo": "/v1/images/1/photo"},
    }
    return ImageResult(**(fields | changes))


def job(**changes: Any) -> JobStatus:
    stages = [{"stage": stage, "waiting": 1, "running": 2, "passed": 3000} for stage in Stage]
    fields: dict[str, Any] = {
        "id": UUID(int=7),
        "name": "spring",
        "metadata": {},
        "state": "running",
        "captioner": "auto",
        "bundle": BUNDLE,
        "images": 3003,
        "counts": {"running": 2, "ready": 1, "succeeded": 3000, "failed": 0},
        "stages": stages,
        "progress": 0.5,
        "estimate_seconds": 12.4,
        "created_at": datetime(2026, 11, 9, tzinfo=UTC),
        "finished_at": None,
        "links": {},
    }
    return JobStatus(**(fields | changes))
