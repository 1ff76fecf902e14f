"""The commands, as they are typed, against the real API without workers."""

import json
import shutil
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


@pytest.mark.parametrize("command", ["create", "delete", "deliveries", "list", "redeliver", "test"])
def test_every_help_of_a_subcommand_has_an_example(command: str) -> None:
    result = facemem("webhooks", command, "--help")
    assert f" facemem webhooks {command}" in result.stdout.split("Options")[0].split("\n", 3)[3]


def test_every_command_stands_in_a_group_of_the_help() -> None:
    shown = facemem("--help").stdout
    titles = ["Begin here", "Jobs", "Results", "The service", "Models"]
    assert [shown.index(f"─ {title} ─") for title in titles] == sorted(shown.index(f"─ {title} ─") for title in titles)
    assert "─ Commands ─" not in shown


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
    monkeypatch.setenv("FACEMEM_WINDOW_IMAGES", "many")
    result = facemem("up")
    assert result.exit_code == 1
    assert "FACEMEM_WINDOW_IMAGES" in told(result)


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


def test_jobs_are_listed_paused_and_cancelled(api_url: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    job = facemem("submit", photos, "--label", "spring", "--label", "print", "--keep", "30d").stdout.strip()
    other = facemem("submit", photos, "--priority", "interactive", "--scores-only", "--deadline", "1h").stdout.strip()
    assert job in facemem("jobs", "--label", "spring").stdout
    assert [json.loads(line)["id"] for line in facemem("jobs", "--json").stdout.splitlines()] == [other, job]
    assert [json.loads(line)["id"] for line in facemem("jobs", "--json", "--number", 1).stdout.splitlines()] == [other]
    assert "paused" in told(facemem("pause", job))
    assert "running" in told(facemem("resume", job))
    assert "2 cancelled" in told(facemem("cancel", job))
    shown = facemem("status", other).stdout
    for part in ("Priority interactive", "to be done by", "keeps scores only"):
        assert part in " ".join(shown.split())
    assert "Labels spring, print, deletes itself at" in " ".join(facemem("status", job).stdout.split())
    assert json.loads(facemem("status", job, "--json").stdout)["state"] == "cancelled"
    assert "Done in" in told(facemem("status", job, "--follow"))


def test_archives_and_manifests_are_known_by_their_names(
    api_url: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    links = tmp_path / "links.csv"
    links.write_text("url,custom_id\nhttps://example.org/a.jpg,1\ngopher://example.org/b.jpg,2\n")
    shown = " ".join(facemem("submit", links, "--dry-run").stdout.split())
    assert "1 of 2 images would be worked on" in shown
    assert "Nothing was kept" in shown
    assert json.loads(facemem("submit", links, "--dry-run", "--json").stdout)["rejected"]["images"] == 1
    assert facemem("jobs", "--json").stdout == ""
    archive = shutil.make_archive(str(tmp_path / "shoot"), "zip", photos)
    job = facemem("submit", archive, "--idempotency-key", "order-7").stdout.strip()
    assert facemem("submit", archive, "--idempotency-key", "order-7").stdout.strip() == job
    assert "named together" in told(facemem("submit", photos, archive))


def test_failed_images_are_tried_again(api_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    links = tmp_path / "links.jsonl"
    links.write_text('{"url": "gopher://example.org/b.jpg"}\n')
    job = facemem("submit", links).stdout.strip()
    assert "Would try 0 images again" in told(facemem("retry", job, "--preview"))
    failed = facemem("results", job, "--state", "failed", "--json")
    assert [json.loads(line)["state"] for line in failed.stdout.splitlines()] == ["failed"]
    assert facemem("results", job, "--state", "succeeded", "--json").stdout == ""


def test_ranked_results_and_files(api_url: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    job = facemem("submit", photos).stdout.strip()
    assert "rank" in facemem("results", job, "--top", 3).stdout
    assert facemem("results", job, "--min-score", 0.5, "--json").stdout == ""
    refused = facemem("results", job, "--csv", "--top", 3)
    assert (refused.exit_code, "sorted and filtered" in told(refused)) == (2, True)
    assert facemem("results", job, "--xlsx").exit_code == 2
    assert facemem("results", job, "--xlsx", "--output", tmp_path / "scores.xlsx").exit_code == 0
    assert (tmp_path / "scores.xlsx").read_bytes().startswith(b"PK")


def test_what_is_deleted_leaves_a_receipt(api_url: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    job = facemem("submit", photos).stdout.strip()
    refused = CliRunner().invoke(cli, ["delete", job], input="n\n")
    assert refused.exit_code == 1
    assert facemem("delete").exit_code == 2
    receipt = json.loads(facemem("delete", job, "--yes", "--json").stdout)
    assert (receipt["job"], receipt["images"]) == (job, 2)
    assert "job.deleted" in facemem("audit", "--subject", job).stdout
    [entry] = facemem("audit", "--action", "job.deleted", "--json").stdout.splitlines()
    assert json.loads(entry)["subject"] == job


def test_the_service_tells_its_limits_and_its_webhooks(api_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    assert "max_file_bytes" in facemem("limits").stdout
    assert json.loads(facemem("limits", "--json").stdout.splitlines()[0])["name"]
    made = facemem("webhooks", "create", "https://example.org/a", "--event", "job.completed")
    assert made.stdout.startswith("whsec_")
    hook = json.loads(facemem("webhooks", "list", "--json").stdout)["id"]
    assert hook in facemem("webhooks", "list").stdout.replace("\n", "")
    sent = facemem("webhooks", "test", hook).stdout.strip()
    assert facemem("webhooks", "redeliver", hook, sent).stdout.strip() == sent
    assert "webhook.test" in facemem("webhooks", "deliveries", hook).stdout
    assert json.loads(facemem("webhooks", "deliveries", hook, "--json").stdout)["id"] == sent
    assert facemem("webhooks", "delete", hook).exit_code == 0
    assert facemem("webhooks", "list", "--json").stdout == ""


def test_a_comparison_names_two(api_url: str) -> None:
    assert facemem("compare", "--label", "a").exit_code == 2
    refused = facemem("compare", "--label", "a", "--label", "b", "--api", api_url)
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output


def test_a_key_is_presented(api_url: str, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMEM_API_URL", api_url)
    with Facemem(api_url) as client:
        key = client.keys.create("reader", ["read"], tenant="press").key
    refused = facemem("submit", photos, "--key", key)
    assert (refused.exit_code, "scope" in told(refused)) == (1, True)
    monkeypatch.setenv("FACEMEM_API_KEY", key)
    assert facemem("jobs").exit_code == 0
    assert facemem("submit", photos).exit_code == 1


def test_a_job_that_is_not_there(api_url: str) -> None:
    result = facemem("status", "8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57", "--api", api_url)
    assert result.exit_code == 1
    assert "There is no job" in told(result)


def test_models_are_listed_with_their_figures() -> None:
    result = facemem("models")
    assert result.exit_code == 0
    assert "compact" in result.stdout
    assert "Spearman" in result.stdout
