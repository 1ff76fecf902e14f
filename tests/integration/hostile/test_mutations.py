"""Thousands of damaged images through the API and detection: each ends with its reason, and nothing else happens."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest

from tests.integration.hostile.conftest import Ends, Sent, told
from tests.mutations import WAYS, mutants, originals
from tests.photographs import portraits
from tests.torture.repetitions import times

MUTANTS = times(20_000)
AT_ONCE = 2_000
# What a damaged image can end with. Not among them: internal_error, and whatever ends the decoder.
READ = {"face", "no_face"}
REFUSED = {"not_an_image", "broken_image", "too_large"}


@pytest.mark.timeout(7200)
def test_damaged_images_end_with_their_reasons(sent: Sent, record_property: Callable[[str, object], None]) -> None:
    damaged, numbers = mutants(), Counter[str]()
    [whole] = portraits(1)
    for _ in range(0, MUTANTS, AT_ONCE):
        files = dict(islice(damaged, AT_ONCE))
        ends = sent(files | dict([whole]))
        assert len(ends) == AT_ONCE + 1
        assert ends.pop(whole[0]) == "face"
        numbers += Counter(ends.values())
        assert_that_all_ways_were_gone(ends)
    told("mutations", numbers)
    record_property("ends", dict(numbers))
    assert set(numbers) <= READ | REFUSED
    # The damage is neither so small that all can be read, nor so large that no decoder ever sees a pixel.
    assert numbers["no_face"] > MUTANTS / 10
    assert numbers["broken_image"] > MUTANTS / 10
    assert numbers["too_large"] > 0


def assert_that_all_ways_were_gone(ends: Ends) -> None:
    assert {name.partition("-")[0] for name in ends} == {way.__name__ for way in WAYS}
    assert {name.rpartition(".")[2] for name in ends} == {"jpg", "png", "webp"}


def test_what_is_damaged_was_whole(sent: Sent) -> None:
    files = {f"{number}.{kind}": content for number, (kind, content) in enumerate(originals())}
    assert set(sent(files).values()) == {"no_face"}
