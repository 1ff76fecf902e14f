"""How an image moves from state to state: one guarded UPDATE, and its job's counters with it.

Only the modules beside this one call it; they are the only writers of state. Every UPDATE names the state it moves
from, and zero rows changed is an answer.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, TextClause, text

from shared.errors import IllegalMove
from shared.jobs.states import IMAGE_MOVES, ImageState

# An UPDATE of images goes in; the moved rows, or numbers of them, come out, and the counters have changed by exactly
# those rows. The counters are touched in a fixed order, so that two such statements never wait for each other.
_COUNTED = """
with moved as (
    {update}
    returning {columns}
), deltas as (
    select job_id, stage, state, sum(n) as n from (
        select job_id, from_stage as stage, from_state as state, -1 as n from moved
        union all
        select job_id, stage, state, 1 from moved
    ) as each
    group by job_id, stage, state having sum(n) <> 0
), counted as (
    insert into job_counts (job_id, stage, state, images)
    select job_id, stage, state, n from deltas order by job_id, stage, state
    on conflict (job_id, stage, state) do update set images = job_counts.images + excluded.images
){also}
{told}
"""
_MOVED = "new.id, new.job_id, new.stage, new.state, old.stage as from_stage, old.state as from_state"
_EACH = "select * from moved order by id"
_NUMBERS = "select from_state, state, count(*) as images from moved group by from_state, state"


def move(
    connection: Connection, update: str, *, columns: str = "", also: str = "", told: str = _EACH, **values: Any
) -> Sequence[Row[Any]]:
    """Run one UPDATE of images, counting what it moves. Returns the moved rows: where they are now, and came from.

    columns: further ones of them, as "new.name". also: further parts of the same statement, as ", name as (...)".
    told: what is returned instead. Both read `moved`. Pieces of statements, all of them, never anything of a client's.

    Raises IllegalMove, and so undoes it, if the UPDATE made a move that `IMAGE_MOVES` does not have.
    """
    moved = connection.execute(_statement(update, columns, also, told), values).all()
    for row in moved:
        _check(row.from_state, row.state)
    return moved


def move_all(connection: Connection, update: str, *, columns: str = "", also: str = "", **values: Any) -> int:
    """The same for however many images: only their number comes back, not a million rows."""
    moved = connection.execute(_statement(update, columns, also, _NUMBERS), values).all()
    for row in moved:
        _check(row.from_state, row.state)
    return sum(row.images for row in moved)


@cache
def _statement(update: str, columns: str, also: str, told: str) -> TextClause:
    """Made once: workers run the same few for every batch."""
    columns = f"{_MOVED}, {columns}" if columns else _MOVED
    return text(_COUNTED.format(update=update, columns=columns, also=also, told=told))


def _check(before: str, after: str) -> None:
    if after not in IMAGE_MOVES[ImageState(before)]:
        raise IllegalMove(f"Images were moved from {before} to {after}.")
