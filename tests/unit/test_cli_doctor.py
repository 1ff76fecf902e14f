"""The doctor finds what is wrong and names the remedy."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import create_engine

from services.cli.doctor import machine, science, servers
from services.cli.doctor.check import Check, Degraded, Missing, Outcome, tried
from services.cli.doctor.checks import checks
from services.cli.doctor.table import outcomes_view
from shared.jobs.health import Presence
from shared.memorability.catalogue import BUNDLES
from shared.settings import LocalSettings, Settings
from tests.ollama_server import OllamaServer

SETTINGS = Settings(database_url="", broker_url="", storage_url="")


def raising(error: Exception) -> str:
    raise error


def test_a_check_ends_as_what_it_found() -> None:
    assert tried(Check("x", lambda: "1.2", "It is x.", "Install x.")) == Outcome("x", "ok", "1.2")
    gone = Check("x", lambda: raising(Missing("no x")), "It is x.", "Install x.")
    assert tried(gone) == Outcome("x", "problem", "no x", "It is x.", "Install x.")
    broken = Check("x", lambda: raising(OSError("no such thing")), "It is x.", "Install x.", optional=True)
    assert tried(broken) == Outcome("x", "optional", "OSError: no such thing", "It is x.", "Install x.")


def test_the_table_tells_what_to_do() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(
        outcomes_view([Outcome("a", "ok", "1.2"), Outcome("b", "problem", "none", "Nothing works.", "Install b.")])
    )
    shown = console.file.getvalue()
    assert "Nothing works." in shown
    assert "Install b." in shown
    assert "1 to be put right" in shown


def test_every_check_says_why_and_what_to_do(tmp_path: Path) -> None:
    listed = checks(LocalSettings(home=tmp_path))
    assert len({check.name for check in listed}) == len(listed)
    assert all(check.why and check.remedy for check in listed)
    ports = next(check for check in listed if check.name == "ports")
    assert tried(ports).verdict in ("ok", "optional")


def test_a_doctor_comes_without_what_it_looks_for() -> None:
    code = "import sys; import services.cli.doctor.checks; print({'torch', 'psycopg', 'redis'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_servers_are_tried_by_starting_them(tmp_path: Path) -> None:
    local = LocalSettings(home=tmp_path, database_url=None, broker_url=None)
    assert "starts and answers" in servers.postgres(local)
    assert "starts and answers" in servers.broker(local)


def test_servers_that_are_named_are_asked(database_url: str, broker_url: str, tmp_path: Path) -> None:
    local = LocalSettings(home=tmp_path, database_url=database_url, broker_url=broker_url)
    assert servers.postgres(local).endswith(" answers")
    assert servers.broker(local).endswith(" answers")
    lost = local.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:9/0")})
    assert tried(Check("Redis", lambda: servers.broker(lost), "It is needed.", "Start it.")).verdict == "problem"


def test_a_running_system_is_asked(api_url: str, database_url: str, tmp_path: Path) -> None:
    local = LocalSettings(home=tmp_path, api_url=api_url)
    found = tried(Check("system", lambda: servers.system(local), "It is needed.", "Start it.", optional=True))
    assert found.verdict == "problem", "no dispatcher runs here"
    assert found.found.startswith(f"{api_url} is degraded\nNo dispatcher is connected")
    assert found.remedy.startswith("Jobs are accepted, but nothing new is let in")
    Presence(create_engine(database_url)).renew()
    assert servers.system(local) == f"{api_url} is ready"
    with pytest.raises(Missing, match="none runs"):
        servers.system(LocalSettings(home=tmp_path, api_url=None))


def test_a_system_that_should_run_and_does_not_is_a_problem(tmp_path: Path) -> None:
    local = LocalSettings(home=tmp_path, api_url="http://127.0.0.1:9")
    *_, last = checks(local)
    assert last.name == "running system"
    found = tried(last)
    assert (found.verdict, found.found) == ("problem", "no facemem answers at http://127.0.0.1:9: ConnectError")
    assert "docker compose up -d" in found.remedy
    *_, last = checks(local.model_copy(update={"api_url": None}))
    nowhere = tried(last)
    assert (nowhere.verdict, nowhere.remedy) == ("optional", "Start it: facemem up")


def test_ollama_may_be_missing() -> None:
    settings = Settings(database_url="", broker_url="", storage_url="", ollama_url="http://127.0.0.1:9")
    with pytest.raises(Missing, match="the describer writes the captions"):
        servers.ollama(settings)


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GB free" in machine.disk(LocalSettings(home=tmp_path / "not" / "yet"))
    monkeypatch.setattr(machine, "ROOM", 10**18)
    with pytest.raises(Missing, match="free at"):
        machine.disk(LocalSettings(home=tmp_path))
    assert "GB free" in machine.temporary()
    monkeypatch.setattr(machine, "TEMPORARY_ROOM", 10**18)
    with pytest.raises(Missing, match="free at"):
        machine.temporary()


def test_a_decoder_that_cannot_be_confined_is_found() -> None:
    assert "without files and network" in machine.sandbox(SETTINGS)
    check = Check("decoder", lambda: machine.sandbox(SETTINGS, "tests.no_such_decoder"), "Files.", "Linux.")
    assert tried(check).verdict == "problem"


def test_openvino_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert science.openvino().startswith("OpenVINO 20")
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert tried(Check("OpenVINO", science.openvino, "Faster.", "Install.", optional=True)).verdict == "optional"


def test_a_bundle_with_something_else_in_it_is_found(tmp_path: Path) -> None:
    bundle = tmp_path / "mine"
    shutil.copytree(BUNDLES / "compact", bundle)
    local = LocalSettings(home=tmp_path, bundle=str(bundle))
    assert "checks of compact pass" in science.bundle_files(SETTINGS, local)
    (bundle / "more.pkl").write_bytes(b"-")
    with pytest.raises(Missing, match=r"more\.pkl"):
        science.bundle_files(SETTINGS, local)


def test_an_ollama_of_another_version_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with OllamaServer(model="llama3.2-vision") as ollama:
        settings = Settings(database_url="", broker_url="", storage_url="", ollama_url=ollama.url)
        assert servers.ollama(settings) == "Ollama 0.24.0 has llama3.2-vision"
        monkeypatch.setattr(servers, "OLLAMA_VERSION", "0.23.0")
        with pytest.raises(Degraded, match=r"Ollama 0\.24\.0") as found:
            servers.ollama(settings)
        assert "Install Ollama 0.23.0" in found.value.remedy


def test_what_compose_starts_is_the_version_that_the_doctor_wants() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
    assert f"image: ollama/ollama:{servers.OLLAMA_VERSION}\n" in compose
