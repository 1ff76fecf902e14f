"""docs/api.md: every block of it is run against the real system, in order, as somebody who reads it would."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.samples import write_samples
from tests.conftest import missing
from tests.system.conftest import Start

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDED = ("bash", "curl", "jq", "zip")
# The receiver of the webhook's recipe listens on this machine; and nobody waits for links that lead nowhere.
SETTINGS = {"fetch_private_addresses": "true", "max_attempts": "1", "retry_delay_seconds": "0.1"}
BLOCK_DONE = "-- that was the block --"


def blocks() -> list[tuple[str, str, int]]:
    """Language, text and line of each block that is to be run."""
    page = PAGE.read_text()
    return [(found[1], found[2], page.count("\n", 0, found.start(2)) + 1) for found in BLOCK.finditer(page)]


class Shell:
    """One shell for all blocks, so that what one sets the next ones know. It ends at the first command that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bash = subprocess.Popen(
            ["bash", "-euo", "pipefail"],
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, text: str) -> str:
        """Runs a block and returns what it said. Fails where a command of it failed."""
        script = self._folder / ".block.sh"
        script.write_text(text)
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"source {script} < /dev/null\necho '{BLOCK_DONE}'\n")
        self._bash.stdin.flush()
        said = []
        for line in self._bash.stdout:
            if line.strip() == BLOCK_DONE:
                return "".join(said)
            said.append(line)
        pytest.fail(f"The block ended the shell:\n{text}\nIt had said:\n{''.join(said)}")

    def close(self) -> None:
        self._bash.kill()
        self._bash.communicate()


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    opened = Shell(folder)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.timeout(900)
def test_every_recipe_works_as_it_stands(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for program in NEEDED:
        if shutil.which(program) is None:
            missing(program)
    folder = tmp_path / "reader"
    write_samples(folder / "shoot")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    namespace: dict[str, Any] = {}
    with start(**SETTINGS) as running:
        monkeypatch.setenv("FACEMEM_API_URL", running.url)
        with shell(folder) as opened:
            for language, text, line in blocks():
                if language == "sh":
                    print(opened.run(text))
                else:
                    # Lines of the page, so that what fails is found there.
                    exec(compile("\n" * (line - 1) + text, str(PAGE), "exec"), namespace)
        check_outcome(folder, capsys.readouterr().out)


def check_outcome(folder: Path, said: str) -> None:
    """What the page promises about some of its answers."""
    assert (folder / "why.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "scores.xlsx").read_bytes().startswith(b"PK")
    assert (folder / "scores.csv").read_text().startswith("image,")
    assert (folder / "scores.jsonl").read_text().startswith("{")
    for code in ("idempotency_key_reused", "scope_missing", "not_found"):
        assert code in said
