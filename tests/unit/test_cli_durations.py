"""Times as people type them."""

import pytest
import rich_click as click

from services.cli.durations import SPAN


@pytest.mark.parametrize(("typed", "seconds"), [("90s", 90), ("30m", 1800), ("12 h", 43200), ("2D", 172800)])
def test_a_time_is_seconds(typed: str, seconds: int) -> None:
    assert SPAN.convert(typed, None, None) == seconds


@pytest.mark.parametrize("typed", ["", "0", "0d", "-1", "1.5h", "2w", "soon", "1h30m", "9" * 12])
def test_what_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="2d"):
        SPAN.convert(typed, None, None)
