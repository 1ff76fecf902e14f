"""The end of an example: everything is let go on until nothing moves, and then all that was promised must be true."""

from uuid import UUID, uuid4

from shared.jobs import delivery
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import FINAL, OPEN
from shared.pipeline.run_stage import Finished, Outcome, run_stage
from tests.torture import rules
from tests.torture.operations import COMPLETES, resume
from tests.torture.rules import Cause
from tests.torture.seen import Seen
from tests.torture.worker import DIES, save
from tests.torture.world import World
from workers.dispatcher import dispatch

# An image needs one round for each attempt, and its job one more; the rest is room.
ROUNDS = 6


def drain(world: World) -> None:
    """Let the open transaction end, and all workers die or come to their end; then let everything go on."""
    world.settle(1, 0)
    for number, worker in enumerate(world.workers):
        while worker.at != "over":
            world.tell(worker, "done" if number % 2 else DIES)
    accepted = world.seen
    for job in accepted.jobs.values():
        world.do(resume(accepted, job, 0, world.connections.settings))
    for _ in range(ROUNDS):
        if all(image.state in FINAL for image in world.seen.images.values()) and not open_jobs(world.seen):
            break
        one_round(world)
    ended(world, accepted)


def one_round(world: World) -> None:
    """All that waits for its time has waited long enough, and every message finds a worker that gets things done."""
    world.let_time_pass()
    dispatch.sweep(world.connections)
    dispatch.tick(world.connections)
    world.mailbox.fetch()
    while world.mailbox.waiting:
        batch = world.mailbox.waiting.pop()
        run_stage(
            world.connections, batch, _finish, lambda connection, saved, at=batch.stage: save(connection, at, saved)
        )
    dispatch.finish(world.connections)
    world.observe(Cause("drain", rules.goes_on, COMPLETES))


def _finish(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
    return [Finished(image) for image in images]


def ended(world: World, accepted: Seen) -> None:
    """What must be true when nothing moves any more. That counters, results and events are right is checked always."""
    seen = world.seen
    assert seen.images.keys() == accepted.images.keys(), "an image was lost"
    unfinished = [image for image in seen.images.values() if image.state not in FINAL]
    assert not unfinished, f"accepted, and never finished: {unfinished}"
    assert not open_jobs(seen), f"never closed: {open_jobs(seen)}"
    with world.connections.database.begin() as connection:
        for batch in world.mailbox.sent:
            assert not delivery.claim(connection, batch, uuid4(), 60), f"an old message has claimed something: {batch}"
    assert dispatch.tick(world.connections) == dispatch.sweep(world.connections) == 0
    world.observe(Cause("the end", rules.nothing))


def open_jobs(seen: Seen) -> list[object]:
    """Jobs that are not closed."""
    return [job for job in seen.jobs.values() if job.state in OPEN]
