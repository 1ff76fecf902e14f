"""Forgetting what nobody looks at any more: answers of old submissions, and how fast old work was."""

from sqlalchemy import text

from shared.jobs import pace
from shared.pipeline.connections import Connections

ROWS_A_ROUND = 1000


def forget_answers(connections: Connections) -> int:
    """Forget some; returns how many."""
    with connections.database.begin() as connection:
        return connection.execute(
            text("""
                delete from idempotency where (tenant, key) in (
                    select tenant, key from idempotency
                    where created_at < now() - make_interval(hours => :hours)
                    order by created_at limit :most for update skip locked)
            """),
            {"hours": connections.settings.idempotency_hours, "most": ROWS_A_ROUND},
        ).rowcount


def forget_paces(connections: Connections) -> int:
    """Forget some; returns how many."""
    with connections.database.begin() as connection:
        return pace.forget(connection, ROWS_A_ROUND)
