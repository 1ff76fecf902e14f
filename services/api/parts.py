"""What the API works with, kept by the app that was built with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

import structlog
from flask import current_app
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from services.api.caller import caller
from services.api.problems import AmbiguousBundle, DamagedBundle, UnknownBundle
from shared.errors import BundleInvalid
from shared.memorability.catalogue import DIGITS, BundleFacts, Catalogue, listed
from shared.settings import Settings
from shared.storage.objects import Objects

LOOK_AGAIN_SECONDS = 5  # a page may show hundreds of faces of a bundle that was removed
log = structlog.get_logger()


@dataclass(frozen=True)
class Parts:
    """The API's connections. `bundle` is the digest of the default bundle.

    By digest, `bundle_names` are the names of the bundles met, and `bundle_misses` when one was found not to be here.
    """

    settings: Settings
    database: Engine
    objects: Objects
    catalogue: Catalogue
    bundle: str
    bundle_names: dict[str, str]
    bundle_misses: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def session(self, *, as_of_one_moment: bool = False, tenant: str | None = None) -> Iterator[Session]:
        """A session that sees the rows of the caller's tenant only, whatever it asks for; one transaction. What goes on
        when the request has been left names the `tenant`.

        With `as_of_one_moment` all its queries see the same state. Nothing is committed at its end: use `writing` to
        change something.
        """
        options = {"isolation_level": "REPEATABLE READ"} if as_of_one_moment else {}
        with Session(self.database) as session:
            connection = session.connection(execution_options=options)
            _bind(connection, tenant or caller().tenant)
            yield session
            # Below the session, which so writes nothing. After ROLLBACK psycopg forgets what Postgres has prepared, and
            # each request would wait until its queries are planned anew.
            if (transaction := connection.get_transaction()) is not None:
                transaction.commit()

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """The same, committed at its end, unless that is an error."""
        with Session(self.database) as session, session.begin():
            _bind(session.connection(), caller().tenant)
            yield session

    def bundle_name(self, digest: str) -> str | None:
        """The name of a bundle, or None if it is not here. A name never changes: the digest pins it."""
        if digest not in self.bundle_names and self._worth_looking(digest):
            name = self.catalogue.name_of(digest)
            if name is None:
                self.bundle_misses[digest] = monotonic()
            else:
                self.bundle_names[digest] = name
        return self.bundle_names.get(digest)

    def bundle_wanted(self, wanted: str | None) -> str:
        """The digest of the bundle that a client named by name or digest; of the default one if it named none.

        Raises UnknownBundle, AmbiguousBundle, and DamagedBundle as `whole_bundle` does.
        """
        if wanted is None:
            return self.bundle
        meant = self.catalogue.meant(wanted)
        if not meant:
            there = listed(self.catalogue.survey()[0])
            raise UnknownBundle(
                f"There is no bundle called '{wanted}', and none with such a digest. There are: {there}."
            )
        if len(meant) > 1 and self.bundle not in meant:
            digests = ", ".join(digest[:DIGITS] for digest in meant)
            raise AmbiguousBundle(f"'{wanted}' may be any of {len(meant)} bundles; name one by its digest: {digests}.")
        return self.whole_bundle(self.bundle if self.bundle in meant else meant[0]).digest

    def whole_bundle(self, digest: str) -> BundleFacts:
        """The bundle with this digest, which must be here. Raises DamagedBundle; where it lies is only for the log."""
        try:
            return self.catalogue.by_digest(digest)
        except BundleInvalid as error:
            log.warning("bundle_invalid", digest=digest, error=error.detail)
            raise DamagedBundle(f"The bundle with digest {digest} is damaged, or cannot be read.") from error

    def _worth_looking(self, digest: str) -> bool:
        """Whether it is worth looking for a bundle: not just after it was not there."""
        return monotonic() - self.bundle_misses.get(digest, -LOOK_AGAIN_SECONDS) >= LOOK_AGAIN_SECONDS


def parts() -> Parts:
    """The parts of the app that serves the current request."""
    return current_app.extensions["facemem"]


# `set local role` is this, too; so it takes one round trip.
_BIND = text("select set_config('role', 'facemem_tenant', true), set_config('facemem.tenant', :tenant, true)")


def _bind(connection: Connection, tenant: str) -> None:
    """Until the transaction ends, row-level security shows this tenant's rows only."""
    connection.execute(_BIND, {"tenant": tenant})
