"""All benchmarks, one after the other, and the tables of what they found, one for each machine, in docs/performance.md.

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

from benchmarks.measure import Row, answer, machine, versions
from services.local.system import KEEP_BUFFERS

ALL = (
    "detection",
    "decoding",
    "networks",
    "pipeline",
    "queue",
    "ingest",
    "status",
    "upload",
    "scale",
    "memory",
    "fairness",
    "page",
)
PACKAGES = ("torch", "openvino", "facenet-pytorch", "transformers", "celery", "redis", "ray", "sqlalchemy", "gunicorn")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: python -m benchmarks -->\n", "<!-- end -->\n"
MEASURED_ON = "Measured on "
HEADING = "| benchmark | what | against | found | bar |\n|---|---|---|---|---|\n"


def main() -> None:
    """Run those that are named, or all, and put what they found into the table, each as soon as it is there."""
    parser = argparse.ArgumentParser(description="All benchmarks, and the table of what they found.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these, of {', '.join(ALL)}")
    parser.add_argument("--quick", action="store_true", help="less of everything; the table is then only printed")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    failed = []
    for name in asked.names or ALL:
        rows = run(name, quick=asked.quick)
        if rows is None:
            failed.append(name)
            continue
        lines = [line(row) for row in rows]
        print("\n".join(lines), flush=True)
        if not asked.quick:
            PAGE.write_text(with_lines(PAGE.read_text(), name, lines))
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


def line(found: dict[str, Any]) -> str:
    """A row of the table."""
    row = Row(**{name: value for name, value in found.items() if name not in ("machine", "versions", "met")})
    verdict = {True: "met", False: "**not met**", None: ""}[row.met]
    bar = "" if row.bar is None else f"{'at most' if row.at_most else 'at least'} {row.bar:g} {row.unit}: {verdict}"
    told = row.missing or answer(row).partition("; bar")[0]
    return f"| {row.benchmark} | {row.what} | {row.against} | {told}{'. ' + row.note if row.note else ''} | {bar} |"


def used(table: str) -> dict[str, str]:
    """The packages that are installed; what is absent had no part in this run, and stays as earlier rows had it."""
    named = table.partition(", with ")[2].partition(".\n")[0].split(", ")
    before = dict(each.split(" ") for each in named if " " in each)
    return {
        package: before.get(package, number) if number == "absent" else number
        for package, number in versions(PACKAGES).items()
    }


def with_lines(page: str, name: str, lines: list[str]) -> str:
    """The page with these lines for one benchmark in this machine's table, which comes first. What other benchmarks
    found here stays, and so do the tables of other machines: no table has rows of two.
    """
    before, tables, after = page.partition(BEGIN)[0], page.partition(BEGIN)[2].partition(END)[0], page.partition(END)[2]
    here = f"{MEASURED_ON}{machine()};"
    by_machine = [f"{MEASURED_ON}{table.strip()}\n" for table in tables.split(MEASURED_ON)[1:]]
    ours = next((table for table in by_machine if table.startswith(here)), "")
    rows: dict[str, list[str]] = {each: [] for each in ALL}
    for old in ours.splitlines():
        if (of := old.split("|")[1].strip() if old.startswith("|") else "") in rows:
            rows[of].append(old)
    rows[name] = lines
    told = "\n".join(each for of in ALL for each in rows[of])
    with_packages = ", ".join(f"{package} {number}" for package, number in used(ours).items())
    where = f"{here} last on {date.today():%Y-%m-%d}, with {with_packages}."
    others = [table for table in by_machine if table is not ours]
    written = "\n".join([f"{where}\n\n{HEADING}{told}\n", *others])
    return f"{before}{BEGIN}{written}{END}{after}"


if __name__ == "__main__":
    main()
