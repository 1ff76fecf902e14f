"""Time, which stands still unless it is told to pass. What somebody holds just now is left for the next time."""

from collections.abc import Sequence

import psycopg


def end_leases(connection: psycopg.Connection, images: Sequence[int]) -> None:
    """The leases of these images are over."""
    connection.execute(_LEASES, {"ids": list(images)})


def end_delays(connection: psycopg.Connection) -> None:
    """Whatever waits for its next attempt has waited long enough."""
    connection.execute(_DELAYS)


def pass_deadlines(connection: psycopg.Connection) -> None:
    """All deadlines have passed."""
    connection.execute(_DEADLINES)


_LEASES = """
update images set lease_expires_at = now() - interval '1 second' where id in (
    select id from images where id = any(%(ids)s) and lease_expires_at > now() for update skip locked)
"""
_DELAYS = """
update images set not_before = now() - interval '1 second' where id in (
    select id from images where not_before > now() for update skip locked)
"""
_DEADLINES = """
update jobs set deadline = now() - interval '1 second' where id in (
    select id from jobs where deadline > now() for no key update skip locked)
"""
