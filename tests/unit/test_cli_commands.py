"""The commands, as they are typed, against the real API without workers."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
import rich_click as click
from click.testing import CliRunner, Result

from services.cli.main import INTERRUPTED, Commands, cli
from services.client import Facemem
from services.local.folder import DataFolder
from shared.errors import TooLarge


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No facemem of this machine is found by accident."""
    monkeypatch.setenv("FACEMEM_HOME", str(tmp_path / "home"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        (folder / name).write_bytes(b"-")
    return folder


def facemem(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def told(result: Result) -> str:
    """What was written to stderr, without the frame and the line breaks around it."""
    return " ".join(result.stderr.replace("│", " ").split())


def test_help_answers_without_loading_what_is_heavy() -> None:
    heavy = {"torch", "sqlalchemy", "flask", "httpx"}
    code = f"import sys, services.cli.main; print({heavy} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_help_has_an_example(command: str) -> None:
    result = facemem(command, "--help")
    assert result.exit_code == 0
    assert f" facemem {command}" in result.stdout.split("Options")[0].split("\n", 3)[3]


def test_an_error_is_a_message_and_advice() -> None:
    @click.group(cls=Commands)
    def group() -> None: ...

    @group.command()
    def refuse() -> None:
        raise TooLarge("It has 9 gigapixels.")

    @group.command()
    def interrupt() -> None:
        raise KeyboardInterrupt

    refused = CliRunner().invoke(group, ["refuse"])
    assert refused.exit_code == 1
    assert "It has 9 gigapixels. Scale it down" in told(refused)
    assert "Traceback" not in refused.output
    assert CliRunner().invoke(group, ["interrupt"]).exit_code == INTERRUPTED


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_WINDOW_PER_JOB", "many")
    result = facemem("up")
    assert result.exit_code == 1
    assert "FACEMEM_WINDOW_PER_JOB" in told(result)


def test_nothing_runs(tmp_path: Path, photos: Path) -> None:
    result = facemem("submit", photos)
    assert result.exit_code == 1
    assert f"facemem is not running on {tmp_path}/home" in told(result).replace(" /home", "/home")
    assert "facemem up" in told(result)


@pytest.mark.parametrize(
    "arguments", [("explain", 1), ("insights", UUID(int=7)), ("rescore", UUID(int=7), "--bundle", "compact")]
)
def test_commands_that_look_at_results_start_what_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple
) -> None:
    monkeypatch.setenv("FACEMEM_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    result = facemem(*arguments)
    assert result.exit_code == 1
    assert "is not running" not in told(result)
    assert (tmp_path / "home").is_dir(), "it tried"


def test_a_second_system_on_a_folder_is_refused(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "home").hold():
        result = facemem("up")
    assert result.exit_code == 1
    assert "facemem already runs on" in told(result)


def test_submit_prints_the_id_and_status_and_results_take_it(api_url: str, photos: Path) -> None:
    submitted = facemem("submit", photos, "--api", api_url, "--name", "spring")
    assert submitted.exit_code == 0, submitted.output
    job = submitted.stdout.strip()
    with Facemem(api_url) as client:
        assert client.job(job).name == "spring"
        client.cancel(job)
    status = facemem("status", job, "--api", api_url)
    assert "(spring): cancelled" in status.stdout
    records = [json.loads(line) for line in facemem("results", job, "--api", api_url, "--json").stdout.splitlines()]
    assert [record["state"] for record in records] == ["cancelled", "cancelled"]
    assert [Path(record["image"]).name for record in records] == ["a.jpg", "b.png"]


def test_results_go_to_a_file(api_url: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    job = facemem("submit", photos).stdout.strip()
    output = tmp_path / "scores.csv"
    result = facemem("results", job, "--csv", "--output", output)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "still runs" in told(result)
    assert len(output.read_text().splitlines()) == 3
    facemem("results", job, "--output", output)
    assert "percentile" in output.read_text()


def test_a_job_that_is_not_there(api_url: str) -> None:
    result = facemem("status", "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57", "--api", api_url)
    assert result.exit_code == 1
    assert "There is no job" in told(result)


def test_models_are_listed_with_their_figures() -> None:
    result = facemem("models")
    assert result.exit_code == 0
    assert "compact" in result.stdout
    assert "Spearman" in result.stdout
