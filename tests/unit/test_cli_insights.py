"""`facemem insights` against the real API: a job without scores; and what it prints of one with."""

import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from rich.console import Console

from services.api.schemas.insights import Association, Insights
from services.cli.insight_tables import insights_view
from services.cli.main import cli
from services.client import ApiError, Facemem
from tests.unit.results import BUNDLE


def facemem(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def job(api_url: str, tmp_path: Path) -> UUID:
    """A job of one image that nobody has looked at yet."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"-")
    with Facemem(api_url) as client:
        return client.submit([path]).id


def association(*terms: str, difference: float = 0.05, clear: bool = True) -> Association:
    return Association(
        terms=list(terms),
        faces_with=1234,
        faces_without=20,
        photographs_with=1200,
        photographs_without=20,
        mean_with=0.5 + difference,
        mean_without=0.5,
        difference=difference,
        low=difference - 0.01,
        high=difference + 0.02,
        contribution=0.25,
        q=0.01,
        clear=clear,
    )


def insights(**changes: Any) -> Insights:
    fields: dict[str, Any] = {
        "job": UUID(int=7),
        "state": "completed",
        "bundle": BUNDLE,
        "faces": {"used": 1254, "scored": 1254, "photographs": 1220},
        "scores": {
            "faces": 1254,
            "mean": 0.512,
            "deviation": 0.1,
            "lowest": 0.1,
            "quartiles": (0.4, 0.5, 0.6),
            "highest": 0.9,
            "bins": [],
        },
        "flags": {},
        "captioners": [],
        "high": [association("broad smile", "broad")],
        "low": [association("hat", difference=-0.05)],
        "others": None,
        "compared": 40,
        "too_rare": 3,
        "fewest": 10,
        "warnings": ["Mind this."],
        "notes": ["Not causes."],
        "links": {},
    }
    return Insights(**(fields | changes))


def printed(found: Insights) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(insights_view(found))
    return console.file.getvalue()


def test_a_job_without_scores_says_so(api_url: str, job: UUID) -> None:
    result = facemem("insights", job, "--api", api_url)
    assert result.exit_code == 0, result.output
    assert "No face of this job has a score yet." in result.stdout
    assert "About the score: It predicts" in result.stdout, "as the card of its bundle has it"


def test_json_and_picture(api_url: str, job: UUID, tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "words.png"
    result = facemem("insights", job, "--api", api_url, "--json", "--all", "--picture", path)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["job"], answer["others"], answer["scores"]) == (str(job), [], None)
    assert "words.png" in result.stderr.replace("\n", "")
    with Image.open(path) as picture:
        assert picture.format == "PNG"


def test_a_picture_that_cannot_be_written_is_an_error(api_url: str, job: UUID, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"-")
    result = facemem("insights", job, "--api", api_url, "--picture", tmp_path / "file" / "such.png")
    assert result.exit_code == 1
    assert "file" in result.stderr.replace("\n", "").replace("│", "").replace(" ", "")


def test_the_client_tells_of_a_job_that_is_not_there(api_url: str) -> None:
    with Facemem(api_url) as client, pytest.raises(ApiError, match="There is no job"):
        client.insights(UUID(int=7))
    result = facemem("insights", UUID(int=7), "--api", api_url)
    assert result.exit_code == 1


def test_a_row_says_how_much_and_how_sure() -> None:
    view = printed(insights())
    high, low = view.split("These go with low scores")
    for part in ("These go with high scores", "broad smile, broad", "1,234", "+0.050", "+0.040 to +0.070", "+0.250"):
        assert part in high
    assert "-0.050" in low
    assert "-0.060 to -0.030" in low
    assert "1,254 scored faces of 1,220 photographs" in view
    assert "2 of 40 words and attributes" in view
    assert "Mind this." in view
    assert "Not causes." in view
    assert "chance" not in high


def test_words_that_chance_may_have_made_stand_apart() -> None:
    view = printed(insights(others=[association("teeth", clear=False)]))
    assert "teeth" in view.split("These cannot be told from chance")[1]


def test_strangers_do_not_control_the_terminal() -> None:
    view = printed(insights(high=[association("\x1b[2J[red]smile")], notes=["About the score: \x1b]0;owned\x07"]))
    assert "\x1b" not in view
    assert "[red]smile" in view
