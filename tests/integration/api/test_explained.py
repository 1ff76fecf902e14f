"""Pictures of explanations from the real API, on real Postgres and storage.

A scored face is put there as scoring would put it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from PIL import Image as Picture
from sqlalchemy import insert, select
from werkzeug.serving import make_server

from services.api.schemas import Explanation as Explained
from services.api.schemas import FaceResult
from services.cli.main import cli
from services.client import ApiError, Facemem
from shared import wording
from shared.database.tables import Explanation, Face, Image
from shared.drawing.caption import ground
from shared.drawing.ink import RAISING
from shared.jobs.accept import NewImage, NewJob, accept
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from tests.integration.api.conftest import problem

PICTURES = ("heatmap", "words", "explanation/picture")
CONSTANT = -0.5
GREY = (120, 120, 120)

Put = Callable[..., int]


def words_of(caption: str) -> list[dict[str, Any]]:
    """Each word of a caption, adding 0.3, -0.15, 0.1, -0.075 ..."""
    words, start = [], 0
    for number, word in enumerate(caption.split(" ")):
        contribution = 0.3 / (number + 1) * (-1) ** number
        words.append({"text": word, "start": start, "end": start + len(word), "contribution": contribution})
        start += len(word) + 1
    return words


@pytest.fixture
def put(connections: Connections) -> Put:
    """A function that puts a scored face into the database and its grey crop into storage; gives the face's id.

    Word n adds all it adds at region n of a grid of 3 x 3.
    """

    def scored(caption: str = "smile chin hair", flags: tuple[str, ...] = (), *, explained: bool = True) -> int:
        job = NewJob(uuid4(), "describer", find("compact").digest)
        crop = BytesIO()
        Picture.new("RGB", (224, 224), GREY).save(crop, "JPEG")
        connections.objects.put(f"jobs/{job.id}/crop.jpg", crop.getvalue())
        words = words_of(caption)
        contributions = np.zeros((len(words), 9), dtype="<f4")
        for number, word in enumerate(words):
            contributions[number, number % 9] = word["contribution"]
        logit = CONSTANT + float(contributions.sum(dtype=np.float64))
        with connections.database.begin() as connection:
            accept(connection, job, [NewImage("portrait.jpg", original_key="o")])
            image = connection.scalars(select(Image.id).where(Image.job_id == job.id)).one()
            row = {"image_id": image, "job_id": job.id, "position": 0, "box": [0] * 4, "crop_box": [0] * 4}
            row |= {"landmarks": [0] * 10}
            row |= {"confidence": 0.99, "flags": list(flags), "crop_key": f"jobs/{job.id}/crop.jpg", "caption": caption}
            if explained:
                row |= {"score": 0.41, "uncertainty": 0.1, "percentile": 71.2, "bundle": job.bundle}
            face_id: int = connection.scalars(insert(Face).returning(Face.id), row).one()
            if explained:
                fixed = {"constant": CONSTANT, "rows": 3, "columns": 3, "attention": np.full_like(contributions, 1 / 9)}
                fixed["attention"] = fixed["attention"].tobytes()
                parts = {"words": words, "logit": logit, "contributions": contributions.tobytes()}
                connection.execute(insert(Explanation), {"face_id": face_id, **fixed, **parts})
        return face_id

    return scored


def picture(client: FlaskClient, path: str) -> np.ndarray:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "image/png"), answer.text
    assert answer.headers["Cache-Control"].startswith("private")
    return np.asarray(Picture.open(BytesIO(answer.data)).convert("RGB")).astype(int)


@contextmanager
def served(client: FlaskClient) -> Iterator[str]:
    """The address of a server of the API that the client talks to."""
    server = make_server("127.0.0.1", 0, client.application, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def redness(pixel: np.ndarray) -> int:
    return int(pixel[0] - pixel[2])


def test_a_face_has_links_to_all_its_pictures(client: FlaskClient, put: Put) -> None:
    face = FaceResult.model_validate(client.get(f"/v1/faces/{put()}").get_json())
    assert set(face.links) == {"self", "crop", "explanation", "heatmap", "words", "explanation_picture"}
    for link in face.links.values():
        assert client.get(link).status_code == 200, link
    waiting = client.get(f"/v1/faces/{put(explained=False)}").get_json()
    assert set(waiting["links"]) == {"self", "crop"}
    assert waiting["score"] is None


def test_the_heat_map_of_a_word_shows_that_word_alone(client: FlaskClient, put: Put) -> None:
    face = put()
    third = 224 // 6  # the middle of the first of three regions
    whole, chin = (picture(client, f"/v1/faces/{face}/heatmap{query}") for query in ("", "?word=1"))
    assert redness(whole[third, third]) > 60
    assert redness(whole[third, 112]) < -30
    assert abs(redness(chin[third, third])) < 20
    # On the scale of all words the second, half as heavy as the first, has half of the full colour.
    assert redness(chin[third, 112]) < -30
    alone = picture(client, f"/v1/faces/{put('chin')}/heatmap?word=0")
    assert redness(alone[third, third]) > 1.5 * abs(redness(chin[third, 112]))


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [
        ("3", 404, "no_such_word"),
        ("2147483647", 404, "no_such_word"),
        ("-1", 422, "invalid_request"),
        ("smile", 422, "invalid_request"),
        ("99999999999", 422, "invalid_request"),
    ],
)
def test_a_word_that_is_not_there(client: FlaskClient, put: Put, word: str, status: int, code: str) -> None:
    body = problem(client.get(f"/v1/faces/{put()}/heatmap?word={word}"), status, code)
    if code == "no_such_word":
        assert "3 words" in body["detail"]


def test_the_caption_is_coloured_in_the_order_of_its_words(client: FlaskClient, put: Put) -> None:
    shown = picture(client, f"/v1/faces/{put()}/words")
    places = [np.flatnonzero((shown == ground(weight)).all(axis=2).any(axis=0)) for weight in (1.0, -0.5, 1 / 3)]
    assert all(place.size > 10 for place in places)
    assert places[0].max() < places[1].min() < places[1].max() < places[2].min()


def test_the_page_warns_of_flags_and_only_then(client: FlaskClient, put: Put) -> None:
    right = slice(760, 1110)  # beside crop and heat map
    warned = picture(client, f"/v1/faces/{put(flags=('dark', 'turned'))}/explanation/picture")[:450, right]
    plain = picture(client, f"/v1/faces/{put()}/explanation/picture")[:450, right]
    assert (warned == RAISING).all(axis=2).any()
    assert not (plain == RAISING).all(axis=2).any()


@pytest.mark.parametrize("caption", ["smile", "وجه مبتسم", "一位女性 😀", "\x1b[2J <b>&amp;</b> \u202e", "a " * 3000])
def test_any_caption_can_be_drawn(client: FlaskClient, put: Put, caption: str) -> None:
    face = put(caption.strip())
    for name in PICTURES:
        height, width, _ = picture(client, f"/v1/faces/{face}/{name}").shape
        assert height < 2300
        assert width < 1200


def test_pictures_wait_for_the_score(client: FlaskClient, put: Put) -> None:
    face = put(explained=False)
    for name in PICTURES:
        problem(client.get(f"/v1/faces/{face}/{name}"), 409, "not_yet")
        problem(client.get(f"/v1/faces/{face + 1}/{name}"), 404, "not_found")
    problem(client.get(f"/v1/faces/{face + 1}"), 404, "not_found")


def test_the_client_fetches_all_pictures(client: FlaskClient, put: Put) -> None:
    number = put()
    with served(client) as url, Facemem(url) as facemem:
        face = facemem.face(number)
        pictures = [
            facemem.heatmap(face),
            facemem.heatmap(face, 0),
            facemem.words(face),
            facemem.explanation_picture(face),
        ]
        with pytest.raises(ApiError) as refused:
            facemem.heatmap(face, 7)
    assert refused.value.code == "no_such_word"
    assert len(set(pictures)) == 4
    assert all(content.startswith(b"\x89PNG") for content in pictures)


def test_the_command_prints_the_words_or_saves_the_page(client: FlaskClient, put: Put, tmp_path: Path) -> None:
    face, output = put(flags=("dark",)), tmp_path / "new" / "face.png"
    with served(client) as url:
        told = CliRunner().invoke(cli, ["explain", str(face), "--api", url])
        saved = CliRunner().invoke(cli, ["explain", str(face), "--api", url, "--output", str(output)])
        missing = CliRunner().invoke(cli, ["explain", str(face + 1), "--api", url])
    assert told.exit_code == 0, told.output
    assert [line.split()[:3] for line in told.stdout.splitlines() if line.strip()[:2] in ("0 ", "1 ", "2 ")] == [
        ["0", "smile", "+0.3000"],
        ["1", "chin", "-0.1500"],
        ["2", "hair", "+0.1000"],
    ]
    assert "constant -0.5000 and words +0.2500 give the logit -0.2500 (they add up" in told.stdout
    assert "the face lies in the dark" in told.stdout
    assert "not whether it is remembered" in " ".join(told.stdout.split())
    assert (saved.exit_code, saved.stdout) == (0, "")
    assert Picture.open(output).width > 1000
    assert missing.exit_code == 1
    assert "There is no face" in missing.stderr


def test_the_command_has_an_answer_for_programs(client: FlaskClient, put: Put, tmp_path: Path) -> None:
    face, output = put(), tmp_path / "face.png"
    with served(client) as url:
        told = CliRunner().invoke(cli, ["explain", str(face), "--api", url, "--json", "--output", str(output)])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == client.get(f"/v1/faces/{face}/explanation").get_json()
    assert output.exists()


def test_neither_captions_nor_cards_control_the_terminal(
    client: FlaskClient, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wording, "about", lambda card: "About the score: \x1b]0;owned\x07")
    face = put("\x1b[2J smile")
    with served(client) as url:
        told = CliRunner().invoke(cli, ["explain", str(face), "--api", url])
    assert told.exit_code == 0, told.output
    assert "About the score" in told.stdout
    assert not {"\x1b", "\x07"} & set(told.stdout)


def test_the_stored_parts_add_up(client: FlaskClient, put: Put) -> None:
    why = Explained.model_validate(client.get(f"/v1/faces/{put()}/explanation").get_json())
    assert why.constant + sum(map(sum, why.contributions)) == pytest.approx(why.logit, abs=1e-6)
