"""What the API works with, kept by the app that was built with it."""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from services.api.problems import UnknownBundle
from shared.errors import BundleInvalid
from shared.memorability.catalogue import Catalogue, listed
from shared.settings import Settings
from shared.storage.objects import Objects


@dataclass(frozen=True)
class Parts:
    """The API's connections. `bundle` is the digest of the default bundle; `bundle_names` are those met, by digest."""

    settings: Settings
    database: Engine
    objects: Objects
    catalogue: Catalogue
    bundle: str
    bundle_names: dict[str, str]

    def bundle_name(self, digest: str) -> str | None:
        """The name of a bundle, or None if it is not here. A name never changes: the digest pins it."""
        if digest not in self.bundle_names:
            self.bundle_names.update({bundle.digest: bundle.name for bundle in self.catalogue.survey()[0]})
        return self.bundle_names.get(digest)

    def bundle_wanted(self, wanted: str | None) -> str:
        """The digest of the bundle that a client named by name or digest; of the default one if it named none.

        Raises UnknownBundle.
        """
        if wanted is None:
            return self.bundle
        try:
            return self.catalogue.choose(wanted, self.bundle).digest
        except BundleInvalid as error:
            raise UnknownBundle(f"{error.detail}. There are: {listed(self.catalogue.survey()[0])}.") from error


def parts() -> Parts:
    """The parts of the app that serves the current request."""
    return current_app.extensions["facemem"]
