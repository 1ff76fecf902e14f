"""The networks of the bundles that jobs name, loaded when a job first needs them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from shared.errors import BundleInvalid, BundleUnavailable
from shared.memorability.catalogue import BundleFacts, Catalogue

# Jobs of the old and of the new bundle run side by side while people change over. A large bundle takes half a gigabyte.
KEPT = 2

Networks = TypeVar("Networks")
log = structlog.get_logger()


class Loaded(Generic[Networks]):
    """The networks of the bundles used last, by digest. Not for several threads."""

    def __init__(self, catalogue: Catalogue, load: Callable[[BundleFacts], Networks], kept: int = KEPT) -> None:
        self._catalogue, self._load, self._kept = catalogue, load, kept
        self._networks: OrderedDict[str, Networks] = OrderedDict()

    def default(self, digest: str | None) -> None:
        """Load the default bundle, pinned to `digest` if given. Raises BundleInvalid: a worker is not to start then."""
        facts = self._catalogue.default(digest)
        self._keep(facts.digest, self._load(facts))

    def of(self, digest: str) -> Networks:
        """The networks of the bundle with this digest; it is verified whenever it is loaded.

        Raises BundleUnavailable, which costs the images no attempt, if it is not here or damaged.
        """
        if digest not in self._networks:
            try:
                facts = self._catalogue.by_digest(digest)
                self._keep(digest, self._load(facts))
            except BundleInvalid as error:
                raise BundleUnavailable(f"This worker cannot load bundle {digest}: {error.detail}") from error
            log.info("bundle_loaded", bundle=facts.name, digest=digest)
        self._networks.move_to_end(digest)
        return self._networks[digest]

    def _keep(self, digest: str, networks: Networks) -> None:
        self._networks[digest] = networks
        while len(self._networks) > self._kept:
            self._networks.popitem(last=False)
