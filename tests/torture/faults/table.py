"""What a fault is."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.torture.torture import Torture

Act = Callable[[Torture, Random], None]


@dataclass(frozen=True)
class Fault:
    """Something bad that is done to a running system, and healed again.

    act: submits work, does it, and heals it; what it chooses by chance it takes from the generator it is given.
    times: repetitions in full. may_fail: whether images may fail by it that would have succeeded otherwise.
    alone: whether it cannot be mixed with others.
    """

    name: str
    times: int
    act: Act
    may_fail: bool = False
    alone: bool = False
