"""What a worker may have in hand at the same time."""

import threading

import pytest

from shared.pipeline.side_by_side import SideBySide

SECONDS = 5.0


def begun(hands: SideBySide, *, alone: bool) -> tuple[threading.Event, threading.Event, threading.Thread]:
    """A batch in a thread of its own: whether it is in hand, a way to end it, and the thread."""
    in_hand, over = threading.Event(), threading.Event()

    def batch() -> None:
        with hands.alone() if alone else hands.with_others():
            in_hand.set()
            over.wait(SECONDS)

    thread = threading.Thread(target=batch, daemon=True)
    thread.start()
    return in_hand, over, thread


def test_batches_are_in_hand_side_by_side() -> None:
    hands = SideBySide()
    batches = [begun(hands, alone=False) for _ in range(3)]
    assert all(in_hand.wait(SECONDS) for in_hand, _, _ in batches)
    for _, over, thread in batches:
        over.set()
        thread.join()


def test_a_suspect_is_by_itself_and_its_turn_comes() -> None:
    hands = SideBySide()
    first = begun(hands, alone=False)
    assert first[0].wait(SECONDS)
    suspect = begun(hands, alone=True)
    while not hands._alone:
        pass  # until it waits
    later = begun(hands, alone=False)
    assert not suspect[0].wait(0.1), "something is in hand"
    assert not later[0].is_set(), "nothing may overtake what waits to be alone"
    first[1].set()
    assert suspect[0].wait(SECONDS)
    assert not later[0].wait(0.1), "a suspect is at work"
    another = begun(hands, alone=True)
    assert not another[0].wait(0.1), "two suspects are not side by side either"
    suspect[1].set()
    assert later[0].wait(SECONDS) or another[0].wait(SECONDS)
    for _, over, thread in (first, suspect, later, another):
        over.set()
        thread.join()


def test_a_suspect_whose_wait_breaks_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait takes a lock of its own, for which memory may be too short."""
    hands = SideBySide()

    def no_memory(*_: object) -> None:
        raise MemoryError

    with hands.with_others(), monkeypatch.context() as short_of_memory:
        short_of_memory.setattr(hands._changed, "wait", no_memory)
        with pytest.raises(MemoryError), hands.alone():
            pytest.fail("something else is in hand")
    in_hand, over, thread = begun(hands, alone=False)
    assert in_hand.wait(SECONDS)
    over.set()
    thread.join()
