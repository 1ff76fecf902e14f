"""The networks of the bundles that jobs name, loaded when a job first needs them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from shared.errors import BundleInvalid, BundleUnavailable
from shared.memorability import tensor_shapes
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
        self._keep(self._catalogue.default(digest))

    def of(self, digest: str) -> Networks:
        """The networks of the bundle with this digest; it is verified whenever it is loaded.

        Raises BundleUnavailable, which costs the images no attempt, if it is not here or damaged. Clients may read
        that error; the log says more.
        """
        if digest not in self._networks:
            try:
                facts = self._catalogue.by_digest(digest, afresh=True)
                self._keep(facts)
            except BundleInvalid as error:
                log.warning("bundle_not_loaded", digest=digest, error=error.detail)
                raise BundleUnavailable(self._trouble(digest)) from error
            log.info("bundle_loaded", bundle=facts.name, digest=digest)
        self._networks.move_to_end(digest)
        return self._networks[digest]

    def _keep(self, facts: BundleFacts) -> None:
        """Load it in the place of the one used longest ago, which goes first: there is memory for so many."""
        while len(self._networks) >= self._kept:
            self._networks.popitem(last=False)
        try:
            tensor_shapes.check(facts.config, facts.weights)  # before networks are built as large as a config says
            self._networks[facts.digest] = self._load(facts)
        except BundleInvalid:
            raise
        except Exception as error:  # whatever a stranger's config makes of torch or transformers
            raise BundleInvalid(f"bundle '{facts.name}' cannot be loaded: {type(error).__name__}: {error}") from error

    def _trouble(self, digest: str) -> str:
        if self._catalogue.name_of(digest) is None:
            return f"This worker has no bundle with digest {digest}."
        return f"This worker's bundle {digest} is damaged, or cannot be loaded."
