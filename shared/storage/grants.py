"""Letting somebody put one object into storage who has no other access to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Grant:
    """The permission to put one object of a size and media type, for somebody who has no other access to storage.

    With a `url` the storage takes it there, with these headers. Without one the API has to, from whoever shows `token`.
    """

    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
