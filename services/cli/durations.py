"""Spans of time: as people type them, and as they like to read them."""

import re

import rich_click as click

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = {"": 1, "s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
TYPED = re.compile(r"(\d{1,9})\s*([smhd]?)")


class Span(click.ParamType):
    """A span of time as it is typed, in seconds: `90`, `90s`, `30m`, `12h`, `2d`."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The seconds. Fails where it is nothing of that kind."""
        typed = TYPED.fullmatch(str(value).strip().lower())
        if typed is None or int(typed[1]) == 0:
            self.fail(f"'{value}' is no time; say 90s, 30m, 12h or 2d.", param, ctx)
        return int(typed[1]) * UNITS[typed[2]]


SPAN = Span()


def span(seconds: float) -> str:
    """A time as exact as an estimate is: "about 40 s", "about 12 min", "about 3 h 20 min", "about 2 days"."""
    if seconds < 1.5 * MINUTE:
        return f"about {max(1, round(seconds))} s"
    if seconds < 1.5 * HOUR:
        return f"about {round(seconds / MINUTE)} min"
    if seconds < 1.5 * DAY:
        hours, minutes = divmod(round(seconds / (10 * MINUTE)) * 10, 60)
        return f"about {hours} h {minutes} min" if minutes else f"about {hours} h"
    return f"about {round(seconds / DAY)} days"
