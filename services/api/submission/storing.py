"""Files on their way into storage, several at a time, while the next ones arrive."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from math import inf
from time import monotonic
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.api.schemas import NAME_LENGTH
from services.api.submission.refusals import check_number
from services.api.submission.spool import Records, Spooled
from shared.errors import PermanentError, TooLarge, TransientError
from shared.jobs.accept import NewImage
from shared.jobs.arrivals import RENEW_SECONDS
from shared.settings import Settings
from shared.storage import keys
from shared.storage.objects import Objects

log = structlog.get_logger()

# Objects written side by side: storage answers are waited for, not computed. No more files are open than these and one.
UPLOADS_AT_ONCE = 8


class NotAFile(PermanentError):
    """The member of the archive is no file, but a link, a device or the like.

    Put the file itself into the archive.
    """

    code = "not_a_file"


@dataclass(frozen=True)
class Place:
    """Where files are put, and how it is noted for which job they are on their way."""

    objects: Objects
    note: Callable[[UUID], None]
    forget: Callable[[UUID], None]

    def discard(self, job_id: UUID) -> None:
        """Remove what a submission that is not accepted has put here. What cannot be now, the dispatcher finds."""
        try:
            self.objects.clear(keys.originals(job_id))
            self.forget(job_id)
        except (TransientError, SQLAlchemyError) as error:
            log.warning("not_discarded", job=str(job_id), error=str(error))


class Storing:
    """Puts the files of one job into storage, in parallel, and keeps their images in `records`, in their order.

    Without a place it only looks at them.
    """

    def __init__(self, job_id: UUID, settings: Settings, place: Place | None) -> None:
        self.records = Records((TooLarge, NotAFile))
        self._job_id = job_id
        self._settings = settings
        self._place = place
        self._noted = -inf
        self._under_way: deque[Future[NewImage]] = deque()
        self._threads = ThreadPoolExecutor(UPLOADS_AT_ONCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()  # each thread closes its file
        if error is not None:
            self.records.close()

    @property
    def noted(self) -> bool:
        """Whether the job is on record as arriving."""
        return self._noted > -inf

    def add(self, name: str, file: Spooled) -> None:
        """Store one more file. Raises LimitExceeded if it is one too many, and what storing the earlier ones raised."""
        try:
            self._note()
        except BaseException:
            file.close()
            raise
        # Before any check: from here on the thread closes the file, whatever happens.
        self._under_way.append(self._threads.submit(self._stored, plain(name or "unnamed"), file))
        check_number(self.records.number + len(self._under_way), self._settings)
        if len(self._under_way) > UPLOADS_AT_ONCE:
            self.records.add(self._under_way.popleft().result())

    def reject(self, name: str, error: PermanentError) -> None:
        """Note an image that cannot be stored."""
        self.finish()
        self.records.add(NewImage(plain(name or "unnamed"), rejected=error))
        check_number(self.records.number, self._settings)

    def finish(self) -> None:
        """Wait until everything is stored. Raises what storing raised."""
        while self._under_way:
            self.records.add(self._under_way.popleft().result())

    def _note(self) -> None:
        if self._place is not None and monotonic() - self._noted >= RENEW_SECONDS:
            self._place.note(self._job_id)
            self._noted = monotonic()

    def _stored(self, name: str, file: Spooled) -> NewImage:
        """One file. One that is too large is an image that failed; it does not fail its neighbours."""
        with closing(file):
            if file.size > (most := self._settings.max_file_bytes):
                error = TooLarge(f"The file has {file.size:,} bytes; this service accepts {most:,}.")
                return NewImage(name, rejected=error, content_digest=file.digest)
            key = keys.original(self._job_id, uuid4())
            if self._place is not None:
                self._place.objects.put(key, file.content)
            return NewImage(name, original_key=key, original_bytes=file.size, content_digest=file.digest)


def plain(name: str) -> str:
    """A file name as it can be stored and shown."""
    return name.encode("utf-8", "replace").decode("utf-8").replace("\0", "")[:NAME_LENGTH]
