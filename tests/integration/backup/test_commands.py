"""`facemem backup` and `restore` on data folders, and `python -m services.backup` on what the environment names."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, run

from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from services.cli.main import cli
from services.local.data import data, resting
from shared.database.migrate import upgrade
from shared.settings import LocalSettings
from tests.servers import Bucket


def facemem(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def told(result: Result) -> str:
    return " ".join(result.stderr.replace("│", " ").split())


def test_a_data_folder_goes_to_another_one(tmp_path: Path) -> None:
    """While a system runs on it, and while none does."""
    home, new, file = tmp_path / "home", tmp_path / "new", tmp_path / "kept.tar"
    assert "There is no data of facemem" in told(facemem("backup", file, "--home", home))
    assert not home.exists()
    local = LocalSettings(home=home)
    with resting(local) as running:
        url = running.database_url.get_secret_value()
        upgrade(url)
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("insert into tenants (name) values ('press')"))
        engine.dispose()
        with data(local) as beside:
            assert beside.database_url == running.database_url, "the one that runs"
        result = facemem("backup", file, "--home", home)
        assert result.exit_code == 0, result.output
        assert "1 rows and 0 objects" in told(result)
        assert "facemem already runs" in told(facemem("restore", file, "--home", home))
    assert facemem("backup", tmp_path / "resting.tar", "--home", home).exit_code == 0
    assert "already" in told(facemem("backup", file, "--home", home))
    deletions = tmp_path / "deletions.jsonl"
    assert facemem("backup", deletions, "--only-deletions", "--home", home).exit_code == 0

    assert "empty system only" in told(facemem("restore", file, "--home", home))
    result = facemem("restore", file, "--home", new, "--deletions", deletions)
    assert result.exit_code == 0, result.output
    with resting(LocalSettings(home=new)) as restored:
        engine = create_engine(restored.database_url.get_secret_value())
        with engine.connect() as connection:
            assert connection.execute(text("select name from tenants")).scalars().all() == ["press"]
        engine.dispose()


def test_in_containers_the_environment_says_where(
    database_url: str, create_database: Callable[[str | None], str], bucket: Bucket, tmp_path: Path
) -> None:
    named = {key: getattr(bucket, key) for key in ("storage_url", "s3_endpoint", "s3_access_key", "s3_secret_key")}
    named |= {"database_url": database_url, "broker_url": "redis://"}
    environment = os.environ | {f"FACEMEM_{key.upper()}": value for key, value in named.items()}

    def backup(*arguments: str | Path) -> CompletedProcess[str]:
        command = [sys.executable, "-m", "services.backup", *map(str, arguments)]
        return run(command, env=environment, capture_output=True, text=True, check=False)

    file, deletions = tmp_path / "kept.tar", tmp_path / "deletions.jsonl"
    created = backup("create", file)
    assert created.returncode == 0, created.stderr
    assert "keep it where nobody else can read it" in created.stderr
    assert backup("deletions", deletions).returncode == 0
    assert "restored into an empty system only" in backup("restore", file).stderr
    environment["FACEMEM_DATABASE_URL"] = create_database(None)
    assert "0 of what was deleted since is deleted again" in backup("restore", file, "--deletions", deletions).stderr
    assert "Delete them again before" in backup("restore", file).stderr
    refused = backup("create", file)
    assert refused.returncode != 0
    assert "already" in refused.stderr
    assert "Traceback" not in refused.stderr
