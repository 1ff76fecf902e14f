"""Files straight into storage: many at a time, and after an interruption only those that are missing."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from services.api.schemas import NAME_LENGTH
from services.api.schemas.uploads import Upload, Uploads
from services.client.bodies import OnUpload
from services.client.calls import Calls
from services.client.files import ImageFile, announced, common_folder, looked_at
from services.client.options import Options, members
from services.client.places import Storage

# What one call may ask places for.
AT_ONCE = 1000
THREADS = 8

Item = TypeVar("Item")


class Direct:
    """A set of files on its way into storage, and the manifest that it makes."""

    def __init__(self, calls: Calls, paths: Sequence[Path], relative_to: Path | None, threads: int = THREADS):
        """Reads every file once. Raises FileUnreadable."""
        self._calls = calls
        self._threads = threads
        with ThreadPoolExecutor(threads) as pool:
            look = partial(looked_at, relative_to=common_folder(paths, relative_to))
            self.files = [file for some in batches(paths, AT_ONCE) for file in pool.map(look, some)]

    def key(self, options: Options) -> str:
        """An Idempotency-Key that the same files with the same options always have."""
        digest = hashlib.sha256(json.dumps(members(options), sort_keys=True, default=list).encode())
        for file in self.files:
            digest.update(json.dumps([file.name, file.size, file.digest]).encode())
        return f"set-{digest.hexdigest()}"

    def lines(self, largest: int, on_upload: OnUpload) -> Iterator[dict[str, Any]]:
        """Sends what the service does not have, and yields the lines of the manifest, in the order of the files.

        A file that it takes from nobody, because it is empty or larger than `largest`, gets a line that leads nowhere:
        an image that failed, which is what it would be otherwise too.
        """
        urls: dict[str, str] = {}  # by digest: the same bytes twice in a set are sent once
        with Storage(self._calls.url) as storage, ThreadPoolExecutor(self._threads) as pool:
            for some in batches(self.files, AT_ONCE):
                fit = [file for file in some if 0 < file.size <= largest]
                new = list({file.digest: file for file in fit if file.digest not in urls}.values())
                places = self._places(new)
                list(pool.map(partial(_send, storage, on_upload), new, places))
                urls |= {file.digest: place.url for file, place in zip(new, places, strict=True)}
                on_upload(sum(file.size for file in some) - sum(file.size for file in new))
                for file in some:
                    yield {"url": urls.get(file.digest, ""), "name": file.name[:NAME_LENGTH]}

    def _places(self, files: Sequence[ImageFile]) -> list[Upload]:
        """A place for each of these files; one that has arrived before is found by its digest."""
        if not files:
            return []
        wanted = [
            {"name": file.name[:NAME_LENGTH], "size": file.size, "media_type": file.media_type, "sha256": file.digest}
            for file in files
        ]
        return self._calls.post("/v1/uploads", Uploads, lambda: {"json": {"files": wanted}}, repeatable=True).uploads


def _send(storage: Storage, on_upload: OnUpload, file: ImageFile, place: Upload) -> None:
    if place.put is None:
        on_upload(file.size)
        return
    storage.put(place.put.url, place.put.headers, partial(announced, file.path, file.size, on_upload), file.size)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at a time."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
