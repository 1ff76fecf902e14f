"""What is neither a row nor an object: installed bundles, the choice among them, and what signs tokens of uploads."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from services.backup.archive import Member, Writer
from services.backup.errors import BackupDamaged
from services.backup.place import Place
from shared.storage.folder import GRANTS_FILE, FolderObjects

BUNDLES, CHOICE, GRANTS = "bundles/", "bundle.json", "grants"


def keep(place: Place, archive: Writer) -> int:
    """Write these files into an archive. Returns how many there are."""
    files = dict(_files(place))
    for name, path in files.items():
        archive.add(name, path.read_bytes())
    return len(files)


def _files(place: Place) -> Iterable[tuple[str, Path]]:
    if place.bundles is not None:
        for path in sorted(place.bundles.rglob("*")):
            name = path.relative_to(place.bundles)
            if path.is_file() and not any(part.startswith(".") for part in name.parts):
                yield f"{BUNDLES}{name.as_posix()}", path
    if place.choice is not None and place.choice.is_file():
        yield CHOICE, place.choice
    if isinstance(place.objects, FolderObjects) and (place.objects.root / GRANTS_FILE).is_file():
        yield GRANTS, place.objects.root / GRANTS_FILE


def bring_back(place: Place, members: Iterable[Member]) -> int:
    """Write the files of an archive to where they belong. Returns how many have no place here."""
    left = 0
    for member in members:
        if not member.name.startswith(BUNDLES) and member.name not in (CHOICE, GRANTS):
            continue
        path = _path(place, member.name)
        if path is None:
            left += 1
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:  # a container without a volume there
            left += 1
            continue
        draft = path.with_name(f".{path.name}.restoring")
        # Bundles are no secret, and are read by processes of another user.
        draft.touch(mode=0o644 if member.name.startswith(BUNDLES) else 0o600)
        draft.write_bytes(member.content())
        draft.replace(path)
    return left


def _path(place: Place, name: str) -> Path | None:
    if name == CHOICE:
        return place.choice
    if name == GRANTS:
        return place.objects.root / GRANTS_FILE if isinstance(place.objects, FolderObjects) else None
    parts = PurePosixPath(name.removeprefix(BUNDLES)).parts
    if not parts or any(part in ("..", "/") for part in parts):
        raise BackupDamaged(f"{name} is no name of a bundle's file.")
    return place.bundles and place.bundles.joinpath(*parts)
