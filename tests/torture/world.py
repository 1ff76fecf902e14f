"""A small facemem whose every step is chosen by the test: the dispatcher's rounds, messages, workers, clients, time.

Real are the database, the broker and all that moves an image. After each step it is looked up what has changed.
"""

from collections import Counter
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from services.api import idempotency
from shared.errors import NotAnImage
from shared.jobs import delivery
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.delivery import Batch
from shared.jobs.states import Priority
from shared.pipeline.connections import Connections
from shared.pipeline.messages import send
from tests.torture import clock, rules
from tests.torture.mailbox import Mailbox
from tests.torture.operations import BUNDLES, COMPLETES, MOST_JOBS, OPERATIONS, Operation
from tests.torture.rules import Cause
from tests.torture.seen import NOTHING, Seen, look, receipts
from tests.torture.worker import BREAKS, DIES, GOES_ON, Worker
from workers.dispatcher import dispatch
from workers.dispatcher.dispatch import OpenJob
from workers.dispatcher.late import fail_late
from workers.dispatcher.lost import LostMessages

TENANTS = ("one", "two")
PRIORITY = {"one": Priority.BULK, "two": Priority.INTERACTIVE}
MOST_WORKERS = 4
# What a worker may be told, some of it more often.
SAYINGS = (
    *("done", "done", "done", "finished", "transient", "transient", BREAKS, DIES),
    *("permanent", "permanent", "part_away", "skipped", "later"),
)


class World:
    """One example: what was done in it, and what is known of it."""

    def __init__(self, connections: Connections, eyes: psycopg.Connection, mailbox: Mailbox) -> None:
        self.connections = connections
        self.workers: list[Worker] = []
        self._eyes = eyes
        self.mailbox = mailbox
        self.seen = NOTHING
        self._events: Counter[tuple[UUID, str]] = Counter()
        self._keys: dict[tuple[str, int], UUID] = {}
        self._paused_well: set[UUID] = set()
        self._lost_messages = LostMessages()
        self._stale: list[OpenJob] = []
        self._open: tuple[Connection, Operation, list[Batch]] | None = None

    # --- Clients -----------------------------------------------------------------------------------------------------

    def submit(self, images: int, options: int) -> None:
        """A job of a few images, by link or uploaded, now and then under a key that was used before."""
        if len(self.seen.jobs) >= MOST_JOBS:
            return self.tick(images, options)
        tenant, key = TENANTS[options % 2], images % 4
        link = "https://example.org/1.jpg" if options & 2 else None
        new = [NewImage(f"{n}.jpg", None if link else f"o/{n}", link) for n in range(1 + images % 3)]
        if options == 7:
            new.append(NewImage("broken.jpg", rejected=NotAnImage()))
        deadline = 3600 if options & 4 else None
        job = NewJob(
            uuid4(), "describer", BUNDLES[0], tenant=tenant, priority=PRIORITY[tenant], deadline_seconds=deadline
        )
        fingerprint = str((new, deadline)).encode()
        known = self._keys.get((tenant, key))
        known = known if known in self.seen.jobs else None  # a deleted job leaves no answer
        with self.connections.database.begin() as connection:
            try:
                answer = idempotency.earlier(connection, tenant, str(key), fingerprint, self.connections.settings)
            except idempotency.KeyReused:
                assert known, "refused as a repetition of nothing"
                return None
            assert (answer is None) == (known is None), f"key {key}: {known} was answered, now {answer}"
            if answer is not None:
                assert answer.body == str(known), "another job under the same key"
                return None
            accept(connection, job, new)
            idempotency.keep(connection, tenant, str(key), fingerprint, job.id, idempotency.Answer(str(job.id), ""))
        self._keys[tenant, key] = job.id
        return self.observe(Cause("submit", rules.is_new(job.id), frozenset({(None, "running")}), job.id))

    def operate(self, which: int, pick: int) -> None:
        """Some operation, committed at once."""
        operation = self._operation(which, pick)
        if operation is not None:
            self.do(operation)

    def do(self, operation: Operation) -> None:
        """Do it, commit, and see what it did."""
        with self.connections.database.begin() as connection:
            batches = operation.do(connection)
        self._committed(operation, batches or [])

    def begin(self, which: int, pick: int) -> None:
        """Some operation whose transaction stays open. There is one such transaction at a time."""
        operation = self._operation(which, pick)
        if self._open is not None or operation is None:
            return self.settle(which, pick)
        connection = self.connections.database.connect()
        try:
            batches = operation.do(connection)
        except OperationalError:
            connection.close()
            return None
        self._open = connection, operation, batches or []
        return self.observe(Cause("begin", rules.nothing))

    def race(self, first: int, second: int) -> None:
        """Two operations on the same job, the first of which is not committed yet when the second one comes."""
        self.begin(first, second)
        self.step("operate", second, second)
        self.settle(first, second)

    def settle(self, which: int, _: int) -> None:
        """The end of that transaction: COMMIT, or now and then its process is killed."""
        if self._open is None:
            return
        (connection, operation, batches), self._open = self._open, None
        if which == 0:
            connection.close()
            self.observe(Cause("roll back", rules.nothing))
        else:
            connection.commit()
            connection.close()
            self._committed(operation, batches)

    def _operation(self, which: int, pick: int) -> Operation | None:
        if not self.seen.jobs:
            return None
        operation = OPERATIONS[which % len(OPERATIONS)]
        job = list(self.seen.jobs.values())[pick % len(self.seen.jobs)]
        return operation(self.seen, job, pick, self.connections.settings)

    def _committed(self, operation: Operation, batches: list[Batch]) -> None:
        if operation.cause.name == "pause" and operation.cause.only and self._open is None:
            self._paused_well.add(operation.cause.only)
        if batches:
            send(self.connections.celery, batches, Priority.BULK)
        self.observe(operation.cause)

    # --- The dispatcher ----------------------------------------------------------------------------------------------

    def tick(self, _: int, __: int) -> None:
        """A whole round."""
        dispatch.tick(self.connections)
        self.observe(Cause("tick", rules.is_let_in, COMPLETES))

    def second_dispatcher(self, _: int, __: int) -> None:
        """Another dispatcher, which looks, and then lets in by what it saw, one batch at a time."""
        if not self._stale:
            with self.connections.database.begin() as connection:
                self._stale = dispatch.open_jobs(connection, self.connections.settings.window_images)
            return
        job = self._stale.pop()
        send(self.connections.celery, dispatch._admit_one(self.connections, job), job.priority)
        self.observe(Cause("second dispatcher", rules.is_let_in))

    def sweep(self, which: int, _: int) -> None:
        """One of the seldom rounds."""
        if which % 3 == 0:
            self.mailbox.fetch()
            self._lost_messages.take_back(self.connections)
            return self.observe(Cause("lost messages", rules.is_unrung))
        if which % 3 == 1:
            fail_late(self.connections)
            return self.observe(Cause("fail late", rules.is_late))
        dispatch.sweep(self.connections)
        return self.observe(Cause("sweep", rules.is_taken_back))

    def silence(self, which: int, pick: int) -> None:
        """Nobody is heard of for longer than a lease; or only one of them is not."""
        self.time_passes(which % 2, pick)
        dispatch.sweep(self.connections)
        self.observe(Cause("sweep", rules.is_taken_back))

    # --- Workers -----------------------------------------------------------------------------------------------------

    def deliver(self, which: int, again: int) -> None:
        """A worker takes a message: one that nobody had yet, in any order; or one that was delivered before."""
        batch = self.mailbox.take(which, again=again % 4 == 0)
        if batch is None or len(self._alive()) >= MOST_WORKERS:
            return self.tick(which, again)
        worker = Worker(self.connections, batch)
        self.workers.append(worker)
        self._heard(worker)
        return self.observe(Cause("deliver", rules.is_claimed(batch, worker.token, self._paused_well)))

    def work(self, which: int, outcome: int, *, stop_in_save: bool = False) -> None:
        """A worker says something of its next image, of all that it has left, or of itself."""
        alive = self._alive()
        if not alive:
            return self.deliver(which, outcome)
        worker = alive[which % len(alive)]
        said = SAYINGS[outcome % len(SAYINGS)]
        if worker.at == "saving":
            said = said if said in (BREAKS, DIES) else GOES_ON
        return self.tell(worker, said, 1 + which % 2, stop_in_save=stop_in_save)

    def tell(self, worker: Worker, said: str, images: int = 1, *, stop_in_save: bool = False) -> None:
        """Tell a worker something, and see what it did."""
        worker.tell(said, images, stop_in_save=stop_in_save)
        self._heard(worker)
        self.observe(Cause("work", rules.is_concluded(worker.token, worker.told)))

    def save_slowly(self, which: int, outcome: int) -> None:
        """The same, and its transaction stays open until it is told something again."""
        self.work(which, outcome, stop_in_save=True)

    def renew(self, which: int, _: int) -> None:
        """A worker renews its lease."""
        alive = [worker for worker in self._alive() if worker.token]
        if not alive:
            return None
        worker = alive[which % len(alive)]
        ids, settings = list(worker.batch.image_ids), self.connections.settings
        with self.connections.database.begin() as connection:
            held = delivery.renew(connection, ids, worker.token, settings.run_lease_seconds)
        mine = {image.id for image in self.seen.images.values() if image.token == worker.token}
        assert held == len(mine), f"a worker was told that it holds {held} images, and holds {mine}"
        return self.observe(Cause("renew", lambda was, now, _: was.id in mine and now == was._replace(expired=False)))

    def _alive(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.at != "over"]

    def _heard(self, worker: Worker) -> None:
        if worker.error is not None:
            raise worker.error

    # --- Time --------------------------------------------------------------------------------------------------------

    def time_passes(self, which: int, pick: int) -> None:
        """A lease runs out, or all do; delays end; deadlines pass."""
        leased = [image.id for image in self.seen.images.values() if image.leased]
        kind = which % 4
        if kind == 0:
            clock.end_leases(self._eyes, leased[pick % len(leased) :][:1] if leased else [])
        elif kind == 1:
            clock.end_leases(self._eyes, leased)
        elif kind == 2:
            clock.end_delays(self._eyes)
        else:
            clock.pass_deadlines(self._eyes)
        self.seen = self._look()

    def let_time_pass(self) -> None:
        """More of it than any lease or delay takes."""
        for kind in range(1, 3):
            self.time_passes(kind, 0)

    def close(self) -> None:
        """End what is left, however the example ended."""
        if self._open is not None:
            self._open[0].close()
        for worker in self._alive():
            while worker.at != "over":
                worker.tell(DIES)

    # --- Looking -----------------------------------------------------------------------------------------------------

    def step(self, name: str, first: int, second: int) -> None:
        """One step. One that meets a locked row gives up, as it does when Postgres is away."""
        try:
            getattr(self, name)(first, second)
        except OperationalError:
            self.observe(Cause(f"{name}, in part", rules.in_part(name), COMPLETES))

    def _look(self) -> Seen:
        seen = look(self._eyes)
        rules.must_hold(seen)
        return seen

    def observe(self, cause: Cause) -> None:
        before, after = self.seen, self._look()
        rules.check(before, after, cause)
        for job_id in before.jobs.keys() | after.jobs.keys():
            old, new = before.jobs.get(job_id), after.jobs.get(job_id)
            if new is None:
                self._events[job_id, "job.deleted"] += 1
            elif new.finished and (old is None or not old.finished):
                self._events[job_id, f"job.{new.state}"] += 1
        assert self._events == after.events, "an end without its event, or an event too many"
        self._nobody_writes_after(before.images.keys() - after.images.keys())
        self._paused_well &= {job.id for job in after.jobs.values() if job.state == "paused"}
        self.seen = after

    def _nobody_writes_after(self, gone: set[int]) -> None:
        """A receipt is not final while a worker may still write an object of what it names."""
        if not gone or not any(gone & worker.in_hand for worker in self._alive()):
            return
        longest = max(seconds for _, seconds in receipts(self._eyes, 0))
        assert longest > self.connections.settings.max_run_seconds, "final, and a worker has some of it in hand"
