"""The bundles of one data folder: those installed in it, and the one that is its default.

bundles/<digest>/     a bundle each, by its digest, so that a namesake replaces nothing
bundle.json           which one `facemem models use` chose; no file means the one that facemem came with
"""

import json
import shutil
from pathlib import Path
from uuid import uuid4

from shared.errors import BundleInvalid
from shared.memorability.catalogue import BUNDLES, CONFIG, DEFAULT, BundleFacts, Catalogue, find, pinned_files
from shared.settings import LocalSettings

SHIPPED = BUNDLES / DEFAULT  # the bundle that facemem came with, whatever else has its name
WAY_BACK = "facemem models use --shipped"  # works whatever else is here, and whatever it is called


def bundles_folder(local: LocalSettings) -> Path:
    """Where this data folder's bundles are, absolute, because processes are told of it."""
    return (local.bundles_folder or local.home / "bundles").expanduser().resolve()


def chosen(local: LocalSettings) -> str:
    """What new jobs are scored with: FACEMEM_BUNDLE, else what `facemem models use` chose, else what is shipped.

    A name, path or digest for FACEMEM_BUNDLE, else always a digest. Raises BundleInvalid if the chosen one is gone.
    """
    if local.bundle is not None:
        return local.bundle
    name = "the bundle"
    try:
        choice = json.loads(choice_file(local).read_bytes())
        name, digest = f"'{choice['name']}'", choice["digest"]
        if digest is None:
            return find(BUNDLES / Path(choice["name"]).name).digest
        return Catalogue(folder=bundles_folder(local)).by_digest(digest).digest
    except FileNotFoundError:
        return find(SHIPPED).digest
    except (BundleInvalid, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = error.detail if isinstance(error, BundleInvalid) else f"{choice_file(local)} is damaged"
        raise BundleInvalid(
            f"{name}, which `facemem models use` made the default of {local.home}, cannot be used: {reason}. "
            f"Go back to the one that facemem came with: `{WAY_BACK}`."
        ) from error


def here(local: LocalSettings) -> Catalogue:
    """All bundles that a facemem on this data folder has."""
    return Catalogue(local.bundle or DEFAULT, bundles_folder(local))


def in_use(local: LocalSettings, digest: str | None = None) -> BundleFacts:
    """The bundle that new jobs are scored with. Raises BundleInvalid, also if it has not the `digest` asked for."""
    return here(local).find(chosen(local), digest)


def use(local: LocalSettings, bundle: BundleFacts) -> Path:
    """Make this verified bundle the default of the data folder, and return where it is from now on.

    One from elsewhere is copied first. One that was shipped is remembered by its name, so that it stays the default
    when a newer facemem brings it retrained.
    """
    shipped = bundle.path.parent == BUNDLES
    place = bundle.path if shipped else _installed(bundles_folder(local), bundle)
    choice = {"name": bundle.path.name if shipped else bundle.name, "digest": None if shipped else bundle.digest}
    draft = choice_file(local).with_suffix(".new")
    local.home.expanduser().mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.write_text(json.dumps(choice))
    draft.replace(choice_file(local))
    return place


def choice_file(local: LocalSettings) -> Path:
    """Where it is kept which bundle is the default."""
    return local.home.expanduser() / "bundle.json"


def _installed(folder: Path, bundle: BundleFacts) -> Path:
    """The bundle's own place in the folder, filled by one rename: nobody ever sees half a bundle.

    Only a bundle's files are copied, and read back, so that what was verified is what is there.
    """
    place = folder / bundle.digest
    if bundle.path.resolve() == place or _whole(place, bundle.digest):
        return place
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{uuid4().hex}"  # a name that the catalogue passes over
    draft.mkdir()
    try:
        for name in (*pinned_files(bundle.config), CONFIG):
            shutil.copyfile(bundle.path / name, draft / name)
        find(draft, bundle.digest)
        if place.exists():  # damaged, or it would have been taken as it is
            shutil.rmtree(place)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


def _whole(place: Path, digest: str) -> bool:
    try:
        return find(place, digest).digest == digest
    except BundleInvalid:
        return False
