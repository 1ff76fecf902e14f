"""What ends a repetition of the torture suite, and what does not."""

from random import Random
from typing import cast

import pytest

from services.client import ApiError, Unreachable
from tests.torture.faults import everything
from tests.torture.faults.table import Act, Fault
from tests.torture.patience import AWAY, Missed, though_away, until
from tests.torture.torture import Torture


@pytest.mark.parametrize(
    "error", [Unreachable(), ApiError("internal_error", "It broke.", 500), ApiError("x", "x", 503)]
)
def test_a_client_that_finds_the_api_away_goes_on(error: Exception) -> None:
    assert not isinstance(error, AWAY), "everything at random would not go on after it by itself"
    with though_away():
        raise error


@pytest.mark.parametrize("error", [ApiError("bad_request", "No.", 400), ValueError("ours")])
def test_what_the_client_did_wrong_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)), though_away():
        raise error


def test_a_server_that_is_away_does_not_tell_whether_it_happened() -> None:
    errors = [AWAY[0]("away"), AWAY[1]("away")]

    def happened() -> bool:
        if errors:
            raise errors.pop()
        return True

    assert until(happened, 5)
    assert not until(lambda: False, 0.05)


def at_random(act: Act, patch: pytest.MonkeyPatch) -> None:
    for whole in ("HALF_A_MINUTE", "HOUR"):
        patch.setattr(everything, whole, 0.1)
    everything.fault([Fault("a fault", 1, act)]).act(cast(Torture, None), Random(1))


@pytest.mark.parametrize("error", [Missed("too late"), AWAY[0]("away")])
def test_faults_that_meet_each_other_do_not_end_everything(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Random] = []

    def act(_: Torture, rng: Random) -> None:
        done.append(rng)
        raise error

    at_random(act, monkeypatch)
    assert len(done) > everything.SIDE_BY_SIDE


def test_what_is_wrong_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(_: Torture, rng: Random) -> None:
        raise AssertionError("two jobs of one submission")

    with pytest.raises(AssertionError, match="two jobs"):
        at_random(act, monkeypatch)
