"""`facemem models`, as it is typed."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli.main import cli
from services.local import bundles
from services.local.folder import DataFolder, Run
from shared.errors import BundleInvalid
from shared.memorability.catalogue import BundleFacts, find
from shared.settings import LocalSettings
from tests.bundles import change, flip_a_byte, pin, retuned


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
    pin(mine.path)
    shown = models("show", mine.path).stdout
    assert "\x1b" not in shown
    assert "Trust me." in shown


def test_verify_has_a_line_for_each_check_and_an_exit_status(home: Path, mine: BundleFacts) -> None:
    whole = models("verify", mine.path, "--digest", mine.digest)
    assert whole.exit_code == 0
    assert len(whole.stdout.splitlines()) == 11
    assert all(line.startswith("ok") for line in whole.stdout.splitlines())
    flip_a_byte(mine.path / "weights.safetensors")
    damaged = models("verify", mine.path)
    assert damaged.exit_code == 1
    assert [line.split()[1] for line in damaged.stdout.splitlines() if line.startswith("WRONG")] == ["SHA-256"]
    assert models("verify", "compact", "--digest", "0" * 64).exit_code == 1


def test_use_installs_verifies_and_says_the_way_back(home: Path, mine: BundleFacts) -> None:
    used = models("use", mine.path, "--digest", mine.digest)
    assert used.exit_code == 0, used.output
    assert "To go back: facemem models use --shipped\n" in used.stdout
    assert in_use(home) == mine.digest
    place = home / "bundles" / mine.digest
    assert find(place) != mine
    assert {path.name for path in place.iterdir()} == {path.name for path in mine.path.iterdir()}
    assert [path.name for path in (home / "bundles").iterdir()] == [mine.digest]
    assert models("use", "mine").exit_code == 0, "by its name, now that it is installed"

    back = models("use", "--shipped")
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


def test_what_the_digest_does_not_pin_is_not_installed(home: Path, mine: BundleFacts) -> None:
    (mine.path / "notes.txt").write_text("private")
    refused = models("use", mine.path)
    assert refused.exit_code == 1
    assert "notes.txt" in refused.stderr
    assert not (home / "bundles").exists()


def test_only_a_whole_digest_is_taken(home: Path, mine: BundleFacts) -> None:
    for command in ("verify", "use"):
        half = models(command, mine.path, "--digest", mine.digest[:32])
        assert half.exit_code == 2
        assert "64 hexadecimal digits" in words(half.stderr)
    assert models("verify", mine.path, "--digest", mine.digest.upper()).exit_code == 0


def test_a_digest_settles_namesakes(home: Path, tmp_path: Path) -> None:
    one, two = (retuned(tmp_path / "home" / "bundles" / str(n), "twin", n) for n in (1, 2))
    assert models("verify", "twin").exit_code == 1
    for twin in (one, two):
        verified = models("verify", "twin", "--digest", twin.digest)
        assert verified.exit_code == 0, verified.output
        assert twin.digest in verified.stdout


def test_the_home_may_be_named_before_the_subcommand(home: Path, mine: BundleFacts, tmp_path: Path) -> None:
    assert models("use", mine.path, "--home", tmp_path / "other").exit_code == 0
    listed = models("list", "--home", tmp_path / "other").stdout
    assert "mine" in listed
    assert models("--home", tmp_path / "other").stdout == listed
    assert models("--home", tmp_path / "other", "list").stdout == listed
    assert models("--home", tmp_path / "other", "show", "mine").exit_code == 0
    assert "mine" not in models("list").stdout


def test_use_takes_a_name_or_the_shipped_one(home: Path) -> None:
    assert models("use").exit_code == 2
    assert models("use", "compact", "--shipped").exit_code == 2
    assert models("use", "--shipped").exit_code == 0


def test_hostile_words_of_a_bundle_control_no_terminal(home: Path, mine: BundleFacts) -> None:
    change(
        mine.path / "card.json", target="\x1b[2J[red]it[/]\x9b2J", results={"quality": "\x1b[2J", "human_ceiling": 7}
    )
    pin(mine.path)
    assert models("use", mine.path).exit_code == 0
    shutil.copytree(mine.path, home / "bundles" / "a")
    change(home / "bundles" / "a" / "config.json", files={"\x1b[2J": "0"})
    listed = models("list")
    assert listed.exit_code == 0, listed.output
    assert "[red]it[/]" in listed.stdout
    assert "Not listed" in listed.stderr
    shown = models("show", mine.path, "--json")
    verified = models("verify", home / "bundles" / "a")
    assert verified.exit_code == 1
    for output in (listed.output, shown.output, verified.output):
        assert not set("\x1b\x9b") & set(output)


def test_a_namesake_of_the_shipped_bundle_replaces_nothing(home: Path, tmp_path: Path) -> None:
    other, original = retuned(tmp_path / "other", "compact"), find("compact")
    used = models("use", other.path)
    assert "To go back: facemem models use --shipped\n" in used.stdout
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
    with pytest.raises(BundleInvalid, match=r"mine(.|\n)*facemem models use --shipped"):
        bundles.chosen(LocalSettings(home=home))
    started = CliRunner().invoke(cli, ["up"])
    assert started.exit_code == 1
    assert "facemem models use --shipped" in words(started.stderr)
    assert "Not listed" in models("list").stderr
    assert models("use", mine.path).exit_code == 0, "a damaged copy is replaced by a whole one"
    assert in_use(home) == mine.digest
    flip_a_byte(home / "bundles" / mine.digest / "weights.safetensors")
    assert models("use", "--shipped").exit_code == 0
    assert in_use(home) == find("compact").digest


def test_the_shipped_bundle_is_reached_beside_a_damaged_namesake(home: Path, tmp_path: Path) -> None:
    other = retuned(tmp_path / "other", "compact")
    models("use", other.path)
    flip_a_byte(home / "bundles" / other.digest / "weights.safetensors")
    with pytest.raises(BundleInvalid, match="facemem models use --shipped"):
        in_use(home)
    assert "facemem models use --shipped" in models("list").stderr
    back = models("use", "--shipped")
    assert back.exit_code == 0, back.output
    assert in_use(home) == find("compact").digest


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"name": 7, "digest": null}', b"[" * 100_000])
def test_a_damaged_choice_is_told_and_left_behind(home: Path, content: bytes) -> None:
    home.mkdir()
    (home / "bundle.json").write_bytes(content)
    with pytest.raises(BundleInvalid, match="facemem models use --shipped"):
        bundles.chosen(LocalSettings(home=home))
    assert models("use", "--shipped").exit_code == 0
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
