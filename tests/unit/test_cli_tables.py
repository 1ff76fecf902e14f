"""Results for people."""

import io
from uuid import UUID

import pytest
from rich.console import Console

from services.api.schemas import Model
from services.cli.explanation_table import explanation_table
from services.cli.tables import results_table, status_view
from services.client.wording import about, why_no_score
from shared.jobs.states import Stage
from shared.wording import contribution, ordinal
from tests.unit.results import BUNDLE, face, image, job, why


def printed(what: object) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(what)
    return console.file.getvalue()


def test_a_row_says_what_a_face_got_and_why() -> None:
    table = printed(results_table([image("a.jpg", face(2))]))
    for part in ("a.jpg", " 2   12 ", "0.50 ± 0.10", "71st", "smile +0.300  wide +0.100", "A smile"):
        assert part in table
    assert "A -0.200" not in table, "it only holds the sentence together"


def test_flags_are_beside_the_score() -> None:
    table = printed(results_table([image("a.jpg", face(flags=["dark", "not_a_photograph"]))]))
    assert "Trust this less: dark, not a photograph" in table
    assert "Trust" not in printed(results_table([image("a.jpg", face())]))


def test_an_explanation_lists_every_word_in_order_and_adds_them_up() -> None:
    told = printed(explanation_table(face(flags=["turned"]), why(face())))
    rows = told.split("adds")[1]
    places = [rows.index(f" {word} ") for word in ("A", "smile,", "wide.", "hat")]
    assert places == sorted(places)
    assert "-0.2000" in told
    assert "constant -0.5000 and words +0.2000 give the logit -0.3000 (they add up, gap" in told
    assert "Trust this score less: the face is turned away or tilted." in told


def test_a_row_says_why_there_is_no_score() -> None:
    broken = image("b.jpg", state="failed", reason="broken_image", detail="The image is cut off.")
    table = printed(results_table([image("a.jpg"), broken]))
    assert "No face was found." in table
    assert "The image is cut off." in table


def test_strangers_do_not_control_the_terminal() -> None:
    table = printed(results_table([image("\x1b[2J[red]x.jpg", face(caption="\x1b]0;owned\x07"))]))
    assert "\x1b" not in table
    assert "\x07" not in table
    assert "[red]x.jpg" in table


def test_a_status_has_all_stages() -> None:
    view = printed(status_view(job()))
    assert "Job 00000000-0000-0000-0000-000000000007 (spring): running, 50% done, about 12 s left" in view
    assert all(stage in view for stage in Stage)
    assert "3,003 images: 2 running, 1 ready, 3,000 succeeded" in view
    assert "Bundle compact 3fa43fa43fa4\n" in view
    again = printed(status_view(job(rescored_from=UUID(int=9))))
    assert "Bundle compact 3fa43fa43fa4, on the faces of job 00000000-0000-0000-0000-000000000009" in again


@pytest.mark.parametrize(
    ("percentile", "words"),
    [(0, "1st"), (2.4, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (21.3, "21st"), (99.9, "99th"), (100, "99th")],
)
def test_percentiles_are_places_among_others(percentile: float, words: str) -> None:
    assert ordinal(percentile) == words


def test_words_lose_their_punctuation() -> None:
    assert contribution(face().words[0]) == "smile +0.300"


def test_every_image_without_a_score_has_a_reason() -> None:
    assert why_no_score(image(state="cancelled", reason=None)) == "The job was cancelled before its turn."
    assert why_no_score(image(state="failed", reason="worker_lost")) == "Worker lost."
    assert why_no_score(image(state="running", reason=None)) == "Running."


def test_the_score_is_explained_by_the_card() -> None:
    card = {"limits": ["It predicts what people SAY. More.", "It saw synthetic faces.", "Never mind."]}
    models = [Model(name="compact", digest=BUNDLE.digest, active=True, card=card, percentiles=[])]
    assert about(models, BUNDLE.digest) == "About the score: It predicts what people SAY. It saw synthetic faces."
    assert about(models, "another") == ""
