"""Measuring two ways of doing the same beside each other: in one process, by turns, so that a machine whose speed
drifts slows both. What is compared is the ratio of neighbours, not two figures that were taken at different times.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter

# Of a processor: wide registers, and what multiplies bfloat16.
EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Ratio:
    """How much faster the first of two ways is than the second, pair by pair, and what each took in the median."""

    ours_seconds: float
    peer_seconds: float
    ratio: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Row:
    """A line of the table in docs/performance.md: a question, the answer, and what was hoped for.

    ours, peer: what each side took, in words with a unit. value: the answer in `unit`, low and high its spread; it is
    to be `bar` at least, or at most. With no bar it is only told. missing: why it could not be measured here, if so.
    """

    benchmark: str
    what: str
    against: str
    ours: str
    peer: str
    value: float
    low: float
    high: float
    bar: float | None = None
    unit: str = "x"
    at_most: bool = False
    note: str = ""
    missing: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bar was met; None if there is none, or nothing was measured."""
        if self.bar is None or self.missing:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def side_by_side(ours: Callable[[], object], peer: Callable[[], object], pairs: int) -> Ratio:
    """Run both by turns, once each to warm up and then so many times, changing who is first."""
    return by_turns(partial(timed, ours), partial(timed, peer), pairs)


def timed(work: Callable[[], object]) -> float:
    """The seconds that something takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def by_turns(ours: Callable[[], float], peer: Callable[[], float], pairs: int) -> Ratio:
    """The same of two who say themselves how many seconds they took: what prepares and clears is not timed."""
    sides = {"ours": ours, "peer": peer}
    taken: dict[str, list[float]] = {"ours": [], "peer": []}
    for pair in range(-1, pairs):
        for name in ("ours", "peer") if pair % 2 else ("peer", "ours"):
            seconds = sides[name]()
            if pair >= 0:
                taken[name].append(seconds)
    ratios = [peer / ours for ours, peer in zip(taken["ours"], taken["peer"], strict=True)]
    return Ratio(median(taken["ours"]), median(taken["peer"]), median(ratios), min(ratios), max(ratios), pairs)


def arguments(module_doc: str | None, **further: str) -> argparse.Namespace:
    """What every benchmark may be told: --quick for a first impression, --json for machines. further: flags of one."""
    parser = argparse.ArgumentParser(description=(module_doc or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything; a first impression")
    parser.add_argument("--json", action="store_true", help="one JSON object on each line, and nothing else")
    for name, meaning in further.items():
        parser.add_argument(f"--{name}", action="store_true", help=meaning)
    return parser.parse_args()


def tell(rows: Sequence[Row], as_json: bool, packages: Sequence[str] = ()) -> None:
    """Print what was found, with the machine and the versions that it was found on."""
    where = {"machine": machine(), "versions": versions(packages)}
    if as_json:
        for row in rows:
            print(json.dumps({**asdict(row), "met": row.met, **where}))
        return
    print(f"{where['machine']}; {', '.join(f'{name} {found}' for name, found in where['versions'].items())}")
    for row in rows:
        print(f"\n{row.what}, against {row.against}")
        print(f"  {row.missing or answer(row)}{'. ' + row.note if row.note else ''}")


def answer(row: Row) -> str:
    """What was found, in a line."""
    found = f"{row.ours} against {row.peer}: {row.value:.3g} {row.unit} ({row.low:.3g} to {row.high:.3g})"
    if row.bar is None:
        return found
    verdict = "met" if row.met else "NOT MET"
    return f"{found}; bar {'at most' if row.at_most else 'at least'} {row.bar:g} {row.unit}: {verdict}"


def machine() -> str:
    """The processor, what of it matters for networks, and how many cores this process may use."""
    place = Path("/proc/cpuinfo")
    lines = [line.partition(":") for line in place.read_text().splitlines()] if place.exists() else []
    said = {name.strip(): value.strip() for name, _, value in lines}
    model = said.get("model name") or platform.processor() or platform.machine()
    extensions = [name for name in EXTENSIONS if name in said.get("flags", "").split()]
    with_them = f" ({', '.join(extensions)})" if extensions else ""
    return f"{model}{with_them}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those of these packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
