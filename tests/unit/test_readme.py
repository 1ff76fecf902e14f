"""What README and docs say is so: figures, commands, files."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner

from services.cli.main import cli

ROOT = Path(__file__).parents[2]
PUBLISHED = {"0.678"}  # of the published model, by its authors
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "workers" / "README.md"]


def test_the_readme_has_the_figures_of_the_card() -> None:
    card = json.loads((ROOT / "shared/memorability/bundles/compact/card.json").read_text())
    spearman = card["results"]["quality"]["spearman"]
    words = " ".join(README.split())
    low, high = spearman["interval_95"]
    assert f"{spearman['value']:.3f} (95 % interval {low:.3f} to {high:.3f}" in words
    assert f"{card['results']['human_ceiling']['split_half_spearman']:.3f}" in words


def test_the_docs_have_no_figures_of_their_own() -> None:
    card = json.loads((ROOT / "shared/memorability/bundles/compact/card.json").read_text())
    known = set(re.findall(r"-?\d\.\d{3}\b", "\n".join(lines_of(card)))) | PUBLISHED
    for page in (ROOT / "README.md", ROOT / "docs" / "model.md"):
        prose = re.sub(r"^```\n.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"(?<![\d.])-?\d\.\d{3}\b", prose)) <= known, page.name


def lines_of(value: object) -> list[str]:
    """Every number of a card as the docs print it."""
    if isinstance(value, dict):
        return [line for inner in value.values() for line in lines_of(inner)]
    if isinstance(value, list):
        return [line for inner in value for line in lines_of(inner)]
    return [f"{value:.3f}"] if isinstance(value, float) else []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def commands() -> list[str]:
    blocks = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.split("facemem ", 1)[1] for line in lines if re.match(r"(\w+=\S+ )?facemem ", line)]


@pytest.mark.parametrize("command", commands())
def test_commands_exist_with_their_options(command: str) -> None:
    name, *options = shlex.split(command)
    inner = options[:1] if isinstance(cli.commands[name], Group) else []
    asked = CliRunner().invoke(cli, [name, *inner, "--help"])
    assert asked.exit_code == 0, asked.output
    for option in options:
        if option.startswith("--"):
            assert option in asked.output


def test_make_knows_the_targets_that_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+)", README)):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target
