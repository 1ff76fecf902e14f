"""Spans of time for people."""

MINUTE, HOUR, DAY = 60, 3600, 86400


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
