"""`facemem models`, as it is typed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli.main import cli
from services.local import bundles
from services.local.folder import DataFolder, Run
from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts, find
from shared.settings import LocalSettings
from tests.bundles import flip_a_byte, retuned


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("FACEMEM_BUNDLE", raising=False)
    monkeypatch.setenv("FACEMEM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mine(tmp_path: Path) -> BundleFacts:
    return retuned(tmp_path / "trained", "mine")


def models(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["models", *map(str, arguments)])


def words(output: str) -> str:
    return " ".join(output.replace("│", " ").split())


def in_use(home: Path) -> str:
    return bundles.in_use(LocalSettings(home=home)).digest


def test_alone_it_lists(home: Path) -> None:
    alone, listed = models(), models("list")
    assert alone.exit_code == 0
    assert alone.stdout == listed.stdout
    assert "in use" in alone.stdout


def test_show_prints_the_card(home: Path, mine: BundleFacts) -> None:
    shown = models("show", "compact")
    assert "CC BY-NC-SA 4.0" in shown.stdout
    assert find("compact").digest in shown.stdout
    card = json.loads(models("show", mine.path, "--json").stdout)
    assert (card["name"], card["digest"]) == ("mine", mine.digest)
    assert models("show", "gigantic").exit_code == 1


def test_a_card_cannot_control_the_terminal(home: Path, mine: BundleFacts) -> None:
    (mine.path / "card.md").write_text("# \x1b[2Jmine\n\nTrust me.\n")
    shown = models("show", mine.path).stdout
    assert "\x1b" not in shown
    assert "Trust me." in shown


def test_verify_has_a_line_for_each_check_and_an_exit_status(home: Path, mine: BundleFacts) -> None:
    whole = models("verify", mine.path, "--digest", mine.digest)
    assert whole.exit_code == 0
    assert len(whole.stdout.splitlines()) == 10
    assert all(line.startswith("ok") for line in whole.stdout.splitlines())
    flip_a_byte(mine.path / "weights.safetensors")
    damaged = models("verify", mine.path)
    assert damaged.exit_code == 1
    assert [line.split()[1] for line in damaged.stdout.splitlines() if line.startswith("WRONG")] == [
        "weights.safetensors:"
    ]
    assert models("verify", "compact", "--digest", "0" * 64).exit_code == 1


def test_use_installs_verifies_and_says_the_way_back(home: Path, mine: BundleFacts) -> None:
    used = models("use", mine.path, "--digest", mine.digest)
    assert used.exit_code == 0, used.output
    assert "To go back: facemem models use compact\n" in used.stdout
    assert in_use(home) == mine.digest
    place = home / "bundles" / mine.digest
    assert find(place) != mine
    assert {path.name for path in place.iterdir()} == {path.name for path in mine.path.iterdir()}
    assert [path.name for path in (home / "bundles").iterdir()] == [mine.digest]
    assert models("use", "mine").exit_code == 0, "by its name, now that it is installed"

    back = models("use", "compact")
    assert "To go back: facemem models use mine\n" in back.stdout
    assert in_use(home) == find("compact").digest
    listed = models("list").stdout.splitlines()
    assert [line.split()[0] for line in listed if "in use" in line] == ["compact"]
    assert any(line.split()[:1] == ["mine"] for line in listed)


def test_use_refuses_what_is_not_whole_and_changes_nothing(home: Path, mine: BundleFacts) -> None:
    (mine.path / "extra.pkl").write_bytes(b"-")
    refused = models("use", mine.path)
    assert refused.exit_code == 1
    assert "extra.pkl" in refused.stderr
    (mine.path / "extra.pkl").unlink()
    assert models("use", mine.path, "--digest", find("compact").digest).exit_code == 1
    assert not (home / "bundles").exists()
    assert in_use(home) == find("compact").digest


def test_only_the_files_of_a_bundle_are_copied(home: Path, mine: BundleFacts) -> None:
    (mine.path / "notes.txt").write_text("private")
    assert models("use", mine.path).exit_code == 0
    assert not (home / "bundles" / mine.digest / "notes.txt").exists()


def test_a_namesake_of_the_shipped_bundle_replaces_nothing(home: Path, tmp_path: Path) -> None:
    other, original = retuned(tmp_path / "other", "compact"), find("compact")
    used = models("use", other.path)
    assert f"To go back: facemem models use {original.digest[:12]}\n" in used.stdout
    assert in_use(home) == other.digest
    assert models("verify", "compact").stdout.count(other.digest) == 1, "the name means the one in use"
    assert models("use", original.digest[:12]).exit_code == 0
    assert in_use(home) == original.digest

    third = retuned(tmp_path / "third", "compact", constant=2)
    (home / "bundle.json").write_text(json.dumps({"name": "gone", "digest": third.digest}))
    ambiguous = models("use", "compact")
    assert ambiguous.exit_code == 1
    assert original.digest[:12] in words(ambiguous.stderr)
    assert other.digest[:12] in words(ambiguous.stderr)


def test_a_chosen_bundle_that_is_gone_is_told_and_left_behind(home: Path, mine: BundleFacts) -> None:
    models("use", mine.path)
    flip_a_byte(home / "bundles" / mine.digest / "weights.safetensors")
    with pytest.raises(BundleInvalid, match=r"mine(.|\n)*facemem models use compact"):
        bundles.chosen(LocalSettings(home=home))
    started = CliRunner().invoke(cli, ["up"])
    assert started.exit_code == 1
    assert "facemem models use compact" in words(started.stderr)
    assert "Not listed" in models("list").stderr
    assert models("use", mine.path).exit_code == 0, "a damaged copy is replaced by a whole one"
    assert in_use(home) == mine.digest
    flip_a_byte(home / "bundles" / mine.digest / "weights.safetensors")
    assert models("use", "compact").exit_code == 0
    assert in_use(home) == find("compact").digest


def test_a_running_facemem_and_the_environment_are_told(
    home: Path, mine: BundleFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEMEM_BUNDLE", "compact")
    folder = DataFolder(home)
    with folder.hold():
        folder.announce(Run(1, "http://127.0.0.1:1"))
        used = models("use", mine.path)
    assert "at its next start" in used.stdout
    assert "FACEMEM_BUNDLE is set to compact" in used.stdout
    assert bundles.chosen(LocalSettings(home=home)) == "compact"
