"""Each promise of docs/security.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()


def promises() -> list[str]:
    table = PAGE.partition("## Promises")[2].partition("##")[0]
    return [line for line in table.splitlines() if line.startswith("|")][2:]


def test_every_promise_is_shown_by_a_test() -> None:
    assert len(promises()) > 10
    for promise in promises():
        shown_by = re.findall(r"`(tests/[\w/]+\.py)`", promise.split("|")[-2])
        assert shown_by, promise
        for path in shown_by:
            assert "\ndef test_" in (ROOT / path).read_text(), path


def test_what_else_it_names_exists() -> None:
    for module in re.findall(r"python -m ([\w.]+)", PAGE):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    for target in re.findall(r"`make (\w+)`", PAGE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
