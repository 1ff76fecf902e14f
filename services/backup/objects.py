"""The objects that rows name: which they are, and many of them read or written side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, text

from shared.errors import ObjectMissing
from shared.jobs.states import FINAL
from shared.jobs.uploads import SCHEME
from shared.storage import keys
from shared.storage.objects import Objects

FOLDER = "objects/"
SIDE_BY_SIDE = 4  # storage answers several at once; so many are in memory
ROWS_AT_ONCE = 5000

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def named(connection: Connection) -> Iterator[str]:
    """The keys that rows name, each once, as this transaction sees them."""
    some = {"yield_per": ROWS_AT_ONCE}
    yield from connection.execute(text(_NAMED), {"uploads": keys.UPLOADS}, execution_options=some).scalars()


def still_needed(connection: Connection, some: Sequence[str]) -> set[str]:
    """Those of some keys that rows name now; of uploads those that an image waits for."""
    asked = {"keys": list(some), "uploads": keys.UPLOADS, "scheme": SCHEME, "final": sorted(FINAL)}
    return set(connection.execute(text(_STILL), asked).scalars())


def fetched(objects: Objects, some: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Objects by their keys, in that order; None for those that are not there. Raises StorageUnavailable."""

    def get(key: str) -> tuple[str, bytes | None]:
        try:
            return key, objects.get(key)
        except ObjectMissing:
            return key, None

    return side_by_side(get, some)


def side_by_side(do: Callable[[Asked], Answer], asked: Iterable[Asked]) -> Iterator[Answer]:
    """What becomes of each, in their order; only some are begun ahead of what was taken."""
    ahead: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            for each in asked:
                ahead.append(pool.submit(do, each))
                if len(ahead) == SIDE_BY_SIDE:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for begun in ahead:
                begun.cancel()


_NAMED = """
select original_key from images where original_key is not null
union select photo_key from images where photo_key is not null
union select crop_key from faces where crop_key is not null
union select states_key from faces where states_key is not null
union select :uploads || id from uploads
"""
_STILL = """
select key from unnest(cast(:keys as text[])) as key where exists (
    select from images where original_key = key or photo_key = key
    union all select from faces where crop_key = key or states_key = key
    union all select from uploads join images on images.job_id = uploads.job_id and source_url = :scheme || uploads.id
        where key = :uploads || uploads.id and original_key is null and not images.state = any(:final))
"""
