"""All benchmarks, one after the other, and the table of what they found in docs/performance.md.

python -m benchmarks [--quick] [NAME ...]
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, answer
from services.local.system import KEEP_BUFFERS

ALL = ("detection", "networks", "pipeline", "queue", "ingest", "status", "upload", "scale", "memory")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: python -m benchmarks -->\n", "<!-- end -->\n"
HEADING = "| benchmark | what | against | found | bar |\n|---|---|---|---|---|\n"


def main() -> None:
    """Run those that are named, or all, and write the table if it was all of them, in full."""
    parser = argparse.ArgumentParser(description="All benchmarks, and the table of what they found.")
    parser.add_argument("names", nargs="*", help="only these; the table is then only printed")
    parser.add_argument("--quick", action="store_true", help="less of everything; the table is then only printed")
    asked = parser.parse_args()
    lines: list[str] = []
    machines: set[str] = set()
    failed = []
    for name in asked.names or ALL:
        rows = run(name, quick=asked.quick)
        if rows is None:
            failed.append(name)
            lines.append(f"| {name} | | | it came to no end | |")
        for found in rows or ():
            versions = ", ".join(f"{of} {number}" for of, number in found.pop("versions").items())
            machines.add(f"{found.pop('machine')}; {versions}")
            found.pop("met")
            lines.append(line(Row(**found)))
            print(lines[-1], flush=True)
    table = f"{date.today():%Y-%m-%d}. " + " / ".join(sorted(machines)) + f"\n\n{HEADING}" + "\n".join(lines) + "\n"
    if not asked.names and not asked.quick:
        write(table)
    if failed:
        sys.exit(f"Came to no end, for reasons told above: {', '.join(failed)}")


def run(name: str, quick: bool) -> list[dict[str, Any]] | None:
    """The rows of one benchmark, which runs in a process of its own, with memory kept as the workers keep it. None if
    it failed.
    """
    argv = [sys.executable, "-m", f"benchmarks.{name}", "--json", *(["--quick"] if quick else [])]
    print(f"-- {name}", file=sys.stderr, flush=True)
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, **KEEP_BUFFERS}, check=False)
    if done.returncode:
        return None
    return [json.loads(each) for each in done.stdout.splitlines() if each.startswith("{")]


def line(row: Row) -> str:
    """A row of the table."""
    verdict = {True: "met", False: "**not met**", None: ""}[row.met]
    bar = "" if row.bar is None else f"{'at most' if row.at_most else 'at least'} {row.bar:g} {row.unit}: {verdict}"
    found = row.missing or answer(row).partition("; bar")[0]
    return f"| {row.benchmark} | {row.what} | {row.against} | {found}{'. ' + row.note if row.note else ''} | {bar} |"


def write(table: str) -> None:
    """Put it in its place on the page."""
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}")


if __name__ == "__main__":
    main()
