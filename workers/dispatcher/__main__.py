"""`python -m workers.dispatcher`: lets work in, takes lost work back, closes finished jobs. Two at once do no harm."""

import signal
import threading
from functools import partial

import structlog

from shared import logs, metrics
from shared.database import schema
from shared.entry import run
from shared.jobs.states import Stage
from shared.jobs.wake import Notices
from shared.pipeline.connections import Connections
from shared.pipeline.watchdog import forget_beats
from shared.settings import settings
from workers.dispatcher.abandoned import remove_abandoned
from workers.dispatcher.dispatch import sweep, tick, wait_for_work
from workers.dispatcher.erase import erase
from workers.dispatcher.expired_uploads import remove_strays, remove_uploads
from workers.dispatcher.expiry import forget_answers, forget_paces
from workers.dispatcher.late import fail_late
from workers.dispatcher.lost import LostMessages
from workers.dispatcher.retention import expire
from workers.dispatcher.rounds import Vital, repeat
from workers.dispatcher.scores_only import ScoresOnly
from workers.dispatcher.tidy import tidy
from workers.dispatcher.webhooks import Webhooks

log = structlog.get_logger()

# Nobody waits for tidying, or for lost messages and workers to be noticed within less.
SELDOM_SECONDS = 1.0
# Nor for objects that came after their upload had gone; finding them lists all uploads.
STRAYS_SECONDS = 3600.0
# Nor for old deliveries and answers to be forgotten; finding them reads a whole table.
FORGET_SECONDS = 3600.0
PACES_SECONDS = 60.0


def main() -> None:
    """Do all rounds until told to stop. The seldom ones have threads of their own: storage away holds up nobody."""
    configured = settings()
    forget_beats(configured.heartbeat_file)
    logs.configure(configured, "dispatcher")
    metrics.dispatcher_begins(Stage)
    metrics.serve(configured)
    connections = Connections.of(configured, f"dispatcher {logs.process_name('dispatcher')}")
    schema.check(connections.database)
    lost = LostMessages()
    webhooks = Webhooks(connections)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    scores_only = ScoresOnly()
    for seldom in (
        lambda: tidy(connections),
        lambda: scores_only.clear(connections),
        lambda: remove_uploads(connections),
        lambda: remove_uploads(connections, only_let_go=True),
        lambda: erase(connections),
        lambda: expire(connections),
        lambda: fail_late(connections),
        lambda: lost.take_back(connections),
        webhooks.serve,
    ):
        threading.Thread(target=repeat, args=(seldom, SELDOM_SECONDS, stop), daemon=True).start()
    threading.Thread(target=repeat, args=(webhooks.forget, FORGET_SECONDS, stop), daemon=True).start()
    for one_round, pause in (
        (remove_abandoned, SELDOM_SECONDS),
        (remove_strays, STRAYS_SECONDS),
        (forget_answers, FORGET_SECONDS),
        (forget_paces, PACES_SECONDS),
    ):
        threading.Thread(target=repeat, args=(partial(one_round, connections), pause, stop), daemon=True).start()
    vital = Vital(connections, ("let_in", "sweep"))
    swept = (partial(sweep, connections), SELDOM_SECONDS, stop, None, partial(vital.ended, "sweep"))
    threading.Thread(target=repeat, args=swept, daemon=True).start()
    threading.Thread(target=vital.watch, name="watchdog", daemon=True).start()
    log.info("dispatcher_ready")
    wait = partial(wait_for_work, connections, Notices(connections.database))
    repeat(lambda: tick(connections), configured.tick_seconds, stop, wait, partial(vital.ended, "let_in"))


if __name__ == "__main__":
    run(main)
