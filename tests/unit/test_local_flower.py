"""What Flower asks for on one machine."""

from pathlib import Path

from pydantic import SecretStr

from services.local import flower
from shared.settings import Settings

HERE = "http://127.0.0.1:5555"


def settings(**chosen: object) -> Settings:
    return Settings(
        database_url=SecretStr("postgresql+psycopg://h/d"),
        broker_url=SecretStr("redis://h/0"),
        storage_url="folder:/x",
        **chosen,
    )


def test_a_password_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "flower-password"
    first = flower.password(file)
    assert len(first) >= 20
    assert flower.password(file) == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert flower.password(tmp_path / "another") != first
    file.write_text("")  # the disk was full
    assert flower.password(file) not in ("", first)


def test_what_somebody_chose_is_used_and_not_repeated(tmp_path: Path) -> None:
    chosen = settings(flower_password=SecretStr("mine"), flower_user="ops", flower_url="https://flower.example/")
    told = flower.environment(chosen, tmp_path / "file", HERE)
    assert told == {"FACEMEM_FLOWER_URL": "https://flower.example/", "FACEMEM_FLOWER_PASSWORD": "mine"}
    assert flower.login(chosen, tmp_path / "file") == "user ops, password FACEMEM_FLOWER_PASSWORD"
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_chose_the_one_that_is_kept_is_told(tmp_path: Path) -> None:
    nobody = settings(flower_password=SecretStr(""))
    told = flower.environment(nobody, tmp_path / "file", HERE)
    assert told["FACEMEM_FLOWER_URL"] == HERE
    assert flower.login(nobody, tmp_path / "file") == f"user flower, password {told['FACEMEM_FLOWER_PASSWORD']}"
