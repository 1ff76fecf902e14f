"""A worker that does one delivery with facemem's own frame, and goes on only when it is told to.

It runs in a thread of its own and stops at each image and, if asked, with its transaction open; so anything can happen
in between. Only one thread runs at a time, so every run of the same steps is the same.
"""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Thread
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from shared.errors import FetchFailed, NotAnImage, StorageUnavailable
from shared.jobs.delivery import Batch, ClaimedImage
from shared.jobs.states import Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Done, Failed, Finished, Later, Outcome, Saved, Skipped, run_stage

# What may become of an image. What breaks here is no outcome: the work itself, or its save, raises.
OUTCOMES: dict[str, Callable[[ClaimedImage], Outcome]] = {
    "done": Done,
    "finished": Finished,
    "skipped": lambda image: Skipped(image, "no_face", "No face."),
    "later": lambda image: Later(image, 3600, "same_image", "Its twin is on its way."),
    "part_away": lambda image: Failed(image, StorageUnavailable()),
    "transient": lambda image: Failed(image, FetchFailed()),
    "permanent": lambda image: Failed(image, NotAnImage()),
}
BREAKS, DIES, GOES_ON = "breaks", "dies", "goes_on"
ANSWER_SECONDS = 60.0
SCORE = 0.5  # added by each result: a face with another score than this has had two


class Killed(BaseException):
    """The process ends here. Not an Exception: nobody catches a kill."""


class Worker:
    """One delivery. `at` says where it stands: `working`, `saving` (its transaction is open) or `over`."""

    def __init__(self, connections: Connections, batch: Batch) -> None:
        self.batch = batch
        self.token: UUID | None = None
        self.left: list[ClaimedImage] = []  # claimed, and nothing said of them yet
        self.told: dict[int, str] = {}  # by image id, what was said of it
        self.error: BaseException | None = None
        self._stop_in_save = False
        self._orders: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self._reports: SimpleQueue[str] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(connections,), daemon=True)
        self._thread.start()
        self.at = self._reports.get(timeout=ANSWER_SECONDS)

    @property
    def in_hand(self) -> set[int]:
        """The images whose objects it may still write, whoever their rows belong to by now."""
        return set() if self.at == "over" else {image.id for image in self.left}

    def tell(self, outcome: str, images: int = 1, *, stop_in_save: bool = False) -> None:
        """Say what becomes of its next images, or of itself; returns when it has stopped again."""
        self._stop_in_save = stop_in_save
        self._orders.put((outcome, images))
        self.at = self._reports.get(timeout=ANSWER_SECONDS)
        if self.at == "over":
            self._thread.join()

    def _run(self, connections: Connections) -> None:
        try:
            run_stage(connections, self.batch, self._work, self._save)
        except (Killed, OperationalError):
            pass  # killed, or a row was locked for longer than it may wait: as if Postgres was away
        except BaseException as error:
            self.error = error  # facemem's own checks; whoever drives raises it again
        self._reports.put("over")

    def _stop(self, where: str) -> tuple[str, int]:
        self._reports.put(where)
        outcome, images = self._orders.get()
        if outcome == DIES:
            raise Killed
        return outcome, images

    def _work(self, images: list[ClaimedImage], token: UUID) -> Iterator[Outcome]:
        self.token, self.left = token, list(images)
        while self.left:
            outcome, count = self._stop("working")
            if outcome == BREAKS:
                self.told |= {image.id: BREAKS for image in self.left}
                self.left.clear()
                raise RuntimeError("this batch breaks us")
            for _ in range(min(count, len(self.left))):
                image = self.left.pop(0)
                self.told[image.id] = outcome
                yield OUTCOMES[outcome](image)

    def _save(self, connection: Connection, outcomes: list[Saved]) -> None:
        if self._stop_in_save:
            self._stop_in_save = False
            # Outputs that cannot be written need outputs: after they broke, it is saved once more, without any.
            if self._stop("saving")[0] == BREAKS and outcomes:
                self.told = dict.fromkeys(self.told, BREAKS)
                raise ValueError("these outputs cannot be written")
        save(connection, self.batch.stage, outcomes)


def save(connection: Connection, stage: Stage, outcomes: list[Saved]) -> None:
    """What the stages write, in small: an original, one face, its caption, its score."""
    finished = [outcome.image.id for outcome in outcomes if isinstance(outcome, Finished)]
    done = [outcome.image.id for outcome in outcomes if isinstance(outcome, Done)]
    found = finished if stage == Stage.INTAKE else finished + done if stage == Stage.DETECTION else []
    scored = finished + done if stage == Stage.SCORING else finished
    captioned = finished + done if stage == Stage.CAPTIONING else scored
    fetched = finished + done if stage == Stage.INTAKE else []
    for statement, ids in ((_ORIGINALS, fetched), (_FACES, found), (_CAPTIONS, captioned), (_SCORES, scored)):
        if ids:
            connection.execute(statement, {"ids": ids, "score": SCORE} if statement is _SCORES else {"ids": ids})


_ORIGINALS = text("update images set original_key = 'o' where id = any(:ids)")
_FACES = text("""
with photographs as (update images set photo_key = 'p' where id = any(:ids) returning id, job_id)
insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key)
select id, job_id, 0, '{1,2,3,4}', '{1,2,3,4}', '{0,0,0,0,0,0,0,0,0,0}', 1, 'c' from photographs
""")
_CAPTIONS = text("update faces set caption = 'A person.' where image_id = any(:ids)")
_SCORES = text("update faces set score = coalesce(score, 0) + :score where image_id = any(:ids)")
