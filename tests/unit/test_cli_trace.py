"""Finding the lines about one image in logs of every form, and laying them beside what the database has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.log_lines import LogLine, about, parsed
from services.cli.main import cli
from services.client import Facemem
from services.local.folder import DataFolder

JOB = "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57"

# A process that logs as ours do.
LOGS = """
import sys
import structlog
from shared import logs
from shared.settings import Settings

settings = Settings(database_url="x", broker_url="x", storage_url="x", log_format="{form}", log_level="info")
logs.configure(settings, "detection-1")
log = structlog.get_logger()
log.info("batch_begun", job="{job}", images=[16, 17, 18], stage="detection", attempt=1)
log.info("batch_begun", job="{job}", images=[117, 171], stage="detection", attempt=1)
log.warning("described_instead", job="{job}", image=17, images=[17, 18], error="it's \\"late\\", image=18 said")
log.info("twin_gone", job="{job}", image=18, images=[17, 18])
try:
    raise ValueError("image=17 broke")
except ValueError:
    log.exception("stage_broke", job="{job}", images=[17])
log.info("job_completed", job="{job}")
log.info("job_completed", job="0d3c2f4e-5b0a-4c53-9d4e-1f6f0f6f2a11", count=17)
print("Something else says images=[17]", file=sys.stderr)
"""
FOUND = ["batch_begun", "described_instead", "stage_broke", "job_completed"]


def logged(form: str, job: str = JOB) -> str:
    code = LOGS.format(form=form, job=job)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("prefix", ["", "detection-1  | ", "\x1b[36mfacemem-detection-1  | \x1b[0m"])
def test_every_line_about_an_image_and_no_other(form: str, prefix: str) -> None:
    lines = [prefix + line for line in logged(form).splitlines()]
    found = list(about(17, JOB, lines, "detection-1"))
    assert [line.event for line in found] == FOUND
    assert all(line.process.startswith("detection-1@") for line in found)
    assert [line.level for line in found] == ["info", "warning", "error", "info"]
    assert (found[0].fields["stage"], found[0].fields["attempt"], found[0].fields["job"]) == ("detection", 1, JOB)
    assert found[0].fields["images"] == [16, 17, 18]
    assert found[1].fields["error"] == 'it\'s "late", image=18 said'
    assert [line.at for line in found] == sorted(line.at for line in found)


@pytest.mark.parametrize(
    "line",
    ["", "}", "{", "{}", "[1, 2]", '{"timestamp": 5}', "x | {not json}", "2026-13-45T99:99:99Z [info     ] a image=17",
     '{"timestamp": "2026-11-28T19:00:00Z", "images": ' + "[" * 100_000 + "}"],
)  # fmt: skip
def test_what_is_no_line_of_ours_is_passed_over(line: str) -> None:
    assert parsed(line, "x") is None


def test_a_line_without_a_process_is_its_files() -> None:
    line = parsed('worker-2 | {"timestamp": "2026-11-28T19:00:00Z", "event": "a", "images": 3}', "file")
    assert line is not None
    assert (line.process, line.event) == ("worker-2", "a")
    assert not line.is_about(3, JOB), "a number is no list of ids"
    assert LogLine(line.at, "x", "info", "a", {"job": JOB, "image": 3}).is_about(3, "")


def test_the_way_of_an_image_is_shown(api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"-")
    with Facemem(api_url) as facemem:
        job = facemem.submit([photo]).id
        [image] = facemem.results(job)
    shown, logs = tmp_path / "api.log", logged("text", str(job)).replace("[17]", f"[{image.id}]")
    shown.write_text(logs)
    asked = ["trace", str(image.id), "--api", api_url]
    result = CliRunner().invoke(cli, [*asked, "--logs", str(shown)])
    assert result.exit_code == 0, result.output
    happened = [event for event in ("accepted", "stage_broke", "job_completed") if event in result.stdout]
    assert happened == ["accepted", "stage_broke", "job_completed"]
    assert f"Image {image.id}, a.jpg, number 1 of job {job} (running)." in result.stdout
    piped = CliRunner().invoke(cli, [*asked, "--logs", "-", "--json"], input=logs)
    both = json.loads(piped.stdout)
    assert [line["event"] for line in both["log"]] == ["stage_broke", "job_completed"]
    assert [step["event"] for step in both["trace"]["steps"]] == ["accepted"]
    bare = CliRunner().invoke(cli, asked)
    assert "name some with --logs" in bare.stdout
    _of_the_data_folder(api_url, image.id, logs, tmp_path, monkeypatch)


def _of_the_data_folder(api_url: str, image: int, logs: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the data folder is used, its logs are, too; also those that were set aside."""
    folder = DataFolder(home / "home")
    (folder.logs / "detection-1.log.1").write_text(logs)
    monkeypatch.setattr("services.cli.connection.running", lambda _: type("Run", (), {"api_url": api_url}))
    monkeypatch.delenv("FACEMEM_API_URL", raising=False)
    result = CliRunner().invoke(cli, ["trace", str(image), "--home", str(folder.home)])
    assert "stage_broke" in result.stdout


def test_logs_are_read_also_while_nothing_answers(tmp_path: Path) -> None:
    (file := tmp_path / "detection-1.log").write_text(logged("json"))
    asked = ["trace", "17", "--api", "http://127.0.0.1:9"]
    result = CliRunner().invoke(cli, [*asked, "--logs", str(file)])
    assert result.exit_code == 0, result.output
    assert "The database's part is missing" in result.stderr
    assert [event for event in FOUND if event in result.stdout] == FOUND[:3], "whose job it is nobody knows"
    bare = CliRunner().invoke(cli, asked)
    assert bare.exit_code == 1


def test_an_image_that_is_not_there(api_url: str) -> None:
    result = CliRunner().invoke(cli, ["trace", "99", "--api", api_url])
    assert result.exit_code == 1
    assert "There is no image 99." in " ".join(result.stderr.replace("│", " ").split())
