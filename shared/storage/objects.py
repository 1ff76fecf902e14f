"""Object storage behind one small interface: an S3-compatible server, or a folder on a machine that runs alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from shared.settings import Settings
from shared.storage.folder import FolderObjects
from shared.storage.grants import Grant
from shared.storage.s3 import S3Objects


class Objects(Protocol):
    """A flat store of bytes by key. Raises StorageUnavailable when it does not answer."""

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        """Store an object whole or not at all, replacing what was there."""

    def get(self, key: str) -> bytes:
        """An object's bytes. Raises ObjectMissing."""

    def size(self, key: str) -> int:
        """How many bytes an object has. Raises ObjectMissing."""

    def copy(self, source: str, target: str) -> None:
        """Store an object a second time, whole or not at all, without its bytes passing here. Raises ObjectMissing."""

    def grant(self, key: str, size: int, media_type: str, seconds: float) -> Grant:
        """Allow one object to be put. The storage ends what has a `url` after `seconds`; of a `token` the API must."""

    def admits(self, token: str, key: str, size: int, media_type: str) -> bool:
        """Whether a token is the one of such a grant."""

    def delete(self, keys: list[str]) -> None:
        """Remove objects; those that are not there are no error."""

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, in no particular order."""

    def clear(self, prefix: str) -> int:
        """Remove what begins with a prefix, however much it is, also halves of objects that a crash left.

        Returns how many objects it removed: 0 says that nothing was there any more.
        """


def open_objects(settings: Settings) -> Objects:
    """The storage that `settings.storage_url` names. Raises ValueError if it names none."""
    scheme, _, place = settings.storage_url.partition(":")
    if scheme == "folder" and place:
        return FolderObjects(Path(place))
    if scheme == "s3" and place.strip("/"):
        return S3Objects(settings, place.strip("/"))
    raise ValueError(f"FACEMEM_STORAGE_URL must be s3://bucket or folder:/path, not {settings.storage_url!r}")
