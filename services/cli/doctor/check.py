"""One thing that facemem needs, tried by using it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from shared.errors import FacememError

Verdict = Literal["ok", "optional", "problem"]


class Missing(Exception):
    """What was tried is not there or not as it should be; the message says what was found."""


class Degraded(Exception):
    """What was tried is there, but does not work as it should, so it is a problem even if it is optional."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


@dataclass(frozen=True)
class Check:
    """`attempt` uses the thing and says what it found, or raises. A thing that is `optional` may be missing.

    `why` says why it matters that it is so, `remedy` what to do where it is not.
    """

    name: str
    attempt: Callable[[], str]
    why: str
    remedy: str
    optional: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a check. Why it matters and the remedy are empty where all is well."""

    name: str
    verdict: Verdict
    found: str
    why: str = ""
    remedy: str = ""


def tried(check: Check) -> Outcome:
    """Runs a check. Whatever its attempt raises is its outcome."""
    try:
        return Outcome(check.name, "ok", check.attempt())
    except Degraded as error:
        return Outcome(check.name, "problem", str(error), check.why, error.remedy)
    except (Missing, FacememError) as error:
        found = str(error)
    except Exception as error:  # This is what is being looked for.
        found = f"{type(error).__name__}: {error}".strip()
    return Outcome(check.name, "optional" if check.optional else "problem", found, check.why, check.remedy)
