"""Noticing messages that Redis lost, long before their lease runs out.

A lease has to outlast the longest queue. But where images wait for a message and the queue has been empty for a while,
the message is gone: with a killed worker, a restarted Redis, or a send that failed.
"""

from time import monotonic

from sqlalchemy import Connection, text

from shared.database.session import autocommitting
from shared.jobs.states import Priority, Stage
from shared.jobs.sweep import take_back_unrung
from shared.pipeline.connections import Connections
from shared.pipeline.messages import waiting_messages
from workers.dispatcher import taken_back


class LostMessages:
    """Remembers since when each queue of a stage is empty."""

    def __init__(self) -> None:
        self._empty_since: dict[tuple[Stage, Priority], float] = {}

    def take_back(self, connections: Connections) -> int:
        """Put images back whose message is gone. Returns how many. Raises BrokerUnavailable."""
        patience = connections.settings.lost_message_seconds
        count = 0
        with autocommitting(connections.database) as connection:
            expected = _expected(connection)
        self._empty_since = {queue: since for queue, since in self._empty_since.items() if queue in expected}
        for stage, priority in expected:
            if waiting_messages(connections.broker, stage, priority):
                self._empty_since.pop((stage, priority), None)
            elif monotonic() - self._empty_since.setdefault((stage, priority), monotonic()) >= patience:
                with connections.database.begin() as connection:
                    lease = connections.settings.dispatch_lease_seconds
                    unrung = take_back_unrung(connection, stage, priority, patience, lease)
                taken_back.tell(unrung, taken_back.MESSAGE_LOST)
                count += len(unrung)
        return count


def _expected(connection: Connection) -> set[tuple[Stage, Priority]]:
    """The queues that should hold messages, because images wait for them."""
    rows = connection.execute(
        text("""
            select distinct stage, priority from job_counts join jobs on jobs.id = job_id
            where jobs.state in ('running', 'paused') and job_counts.state = 'dispatched' and images > 0
        """)
    )
    return {(Stage(row.stage), Priority(row.priority)) for row in rows}
