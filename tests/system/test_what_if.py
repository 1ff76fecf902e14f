"""Other words for a face, scored by real workers."""

from pathlib import Path

import pytest

from services.client import Facemem
from shared.jobs.states import JobState
from tests.photographs import portraits
from tests.system.conftest import Start

WORDS = "A bald old man with a long grey beard, a scar on his cheek and an eye patch, laughing loudly."
# Texts that have no words, or more than an encoder reads.
STRANGE = ("...", "🙂", "١٢٣", "wort " * 390)


def test_other_words_give_another_score_that_adds_up(start: Start, tmp_path: Path) -> None:
    (tmp_path / "portrait.jpg").write_bytes(portraits(1)[0][1])
    with start() as running:
        client = running.client
        first = client.submit([tmp_path / "portrait.jpg"], captioner="describer").id
        list(client.watch(first))
        [before] = next(iter(client.results(first))).faces

        made = client.rescore_face(before.id, WORDS)
        *_, last = client.watch(made.id)
        assert (last.state, last.images) == (JobState.COMPLETED, 1)
        [image] = client.results(made.id)
        [face] = image.faces
        assert (face.what_if_of, face.caption, face.captioner) == (before.id, WORDS, {"name": "edited"})
        assert face.bundle == before.bundle
        assert face.box == before.box
        assert face.score is not None
        assert before.score is not None
        assert abs(face.score - before.score) > 0.001
        why = client.explanation(face)
        assert why.constant + sum(map(sum, why.contributions)) == pytest.approx(why.logit, abs=1e-4)
        assert {word.text for word in why.words} == {word.strip(",.") for word in WORDS.split()}
        assert client.crop(face) == client.crop(before)
        assert client.explanation_picture(face)

        [same] = next(iter(client.results(first))).faces
        assert same == before, "the face keeps its score"
        assert scored_with(client, before.id, before.caption or "") == pytest.approx(before.score, abs=1e-5)
        for caption in STRANGE:
            end(client, before.id, caption)


def end(client: Facemem, face: int, caption: str) -> None:
    """Whatever the words are, the job comes to its end: with a score, or with a reason."""
    *_, last = client.watch(client.rescore_face(face, caption).id)
    assert last.state == JobState.COMPLETED
    [image] = client.results(last.id)
    assert image.state == "succeeded" or (image.state == "failed" and image.reason), caption


def scored_with(client: Facemem, face: int, caption: str) -> float | None:
    *_, last = client.watch(client.rescore_face(face, caption).id)
    [image] = client.results(last.id)
    return image.faces[0].score
