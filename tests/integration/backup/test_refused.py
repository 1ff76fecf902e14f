"""Backups that are damaged or too new, and places that are not empty: refused by a stable code, nothing changed."""

import json
import stat
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from services.backup import archive
from services.backup.create import backup
from services.backup.place import Place
from services.backup.restore import restore
from shared.database import schema
from shared.errors import FacememError
from shared.jobs.keeping import unless_kept
from tests.integration.backup.test_compared import content, rows


def refused(place: Place, path: Path, deleted: Path | None = None) -> str:
    """The code of the error; nothing may have been changed by it."""
    before = content(place.objects), tables(place), sorted(place.objects.root.rglob("*"))
    with pytest.raises(FacememError) as error:
        restore(place, path, deleted)
    assert (content(place.objects), tables(place), sorted(place.objects.root.rglob("*"))) == before
    assert error.value.advice()
    return error.value.code


def tables(place: Place) -> int:
    engine = create_engine(place.database_url)
    with engine.connect() as connection:
        found = connection.execute(text("select count(*) from pg_tables where schemaname = 'public'")).scalar_one()
    engine.dispose()
    return int(found)


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


def flipped(path: Path, place: int) -> Path:
    """A copy of a file with one bit changed."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    (made := path.with_name("flipped.tar")).write_bytes(content)
    return made


def test_one_bit_is_enough(kept: Path, elsewhere: Place) -> None:
    """In any member's content, and anywhere in its header."""
    rng, found = Random(4), members(kept)
    kinds = {kind: next(each for each in found if each.name.startswith(kind)) for kind in ("tables/images", "objects/")}
    some = [*kinds.values(), *(each for each in found if each.name in (archive.MANIFEST, archive.SUMS)), found[0]]
    assert len(some) == 5
    for member in some:
        assert refused(elsewhere, flipped(kept, member.offset_data + rng.randrange(member.size))) == "backup_damaged"
        for place in (rng.randrange(len(member.name)), rng.randrange(100, 156)):  # its name; mode, size, time, checksum
            assert refused(elsewhere, flipped(kept, member.offset + place)) == "backup_damaged"


def test_what_is_cut_off_is_refused(kept: Path, elsewhere: Place) -> None:
    whole, last = kept.read_bytes(), members(kept)[-1]
    end = last.offset_data + last.size  # tar puts nothing but zeros behind it
    for size in (0, 700, end // 2, last.offset, last.offset_data, end - 1):
        (cut := kept.with_name("cut.tar")).write_bytes(whole[:size])
        assert refused(elsewhere, cut) == "backup_damaged"


def test_what_is_no_backup_is_refused(elsewhere: Place, tmp_path: Path) -> None:
    (photo := tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 5000)
    assert refused(elsewhere, photo) == "backup_damaged"


@pytest.mark.parametrize("change", [{"schema": "9999"}, {"format": 2}])
def test_a_newer_one_is_refused(kept: Path, elsewhere: Place, change: dict[str, object]) -> None:
    newer = kept.with_name("newer.tar")
    with archive.written(newer) as writer:
        for member in archive.members(kept):
            if member.name == archive.MANIFEST:
                writer.end(json.loads(member.content()) | change)
            elif member.name != archive.SUMS:
                writer.add(member.name, member.content())
    assert refused(elsewhere, newer) == "backup_too_new"


def test_a_place_with_rows_is_refused(kept: Path, place: Place) -> None:
    before = rows(place.database_url)
    assert refused(place, kept) == "restore_not_empty"
    assert rows(place.database_url) == before


def test_a_place_with_objects_is_refused(kept: Path, place: Place, elsewhere: Place) -> None:
    assert refused(Place(elsewhere.database_url, place.objects), kept) == "restore_not_empty"


def test_a_place_of_a_newer_version_is_refused(kept: Path, elsewhere: Place, database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    assert refused(Place(database_url, elsewhere.objects), kept) == "restore_not_empty"


def test_a_file_of_deletions_that_is_none_is_refused(kept: Path, elsewhere: Place, tmp_path: Path) -> None:
    (wrong := tmp_path / "deletions.jsonl").write_text('{"tenant": "local", "job": "no id", "image": null}\n')
    assert refused(elsewhere, kept, wrong) == "deletions_invalid"


def test_an_interrupted_restore_is_done_again(kept: Path, place: Place, elsewhere: Place) -> None:
    def interrupted(doing: str, done: int, total: int) -> None:
        if doing == "Rows of images":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(elsewhere, kept, report=interrupted)
    assert not any(each for table, each in rows(elsewhere.database_url).items() if table != "schema")
    restore(elsewhere, kept)
    assert len(rows(elsewhere.database_url)["images"]) == len(rows(place.database_url)["images"])
    assert list(elsewhere.objects.keys("restoring/")) == []
    assert refused(elsewhere, kept) == "restore_not_empty"


def test_an_interrupted_one_is_not_taken_for_done_because_others_wrote_rows(kept: Path, elsewhere: Place) -> None:
    def interrupted(doing: str, done: int, total: int) -> None:
        if doing == "Objects":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(elsewhere, kept, report=interrupted)
    engine = create_engine(elsewhere.database_url)
    with engine.begin() as connection:  # as if somebody had started the system, and made a key
        connection.execute(text("insert into tenants (name, max_queued_images) values ('press', 7)"))
    engine.dispose()
    assert refused(elsewhere, kept) == "restore_not_empty"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def of_an_older_version(kept: Path) -> Path:
    """The same backup as of a version in which a table was missing."""
    older = kept.with_name("older.tar")
    with archive.written(older) as writer:
        for member in archive.members(kept):
            if member.name == archive.MANIFEST:
                manifest = json.loads(member.content()) | {"schema": "0006"}
                del manifest["tables"]["arrivals"]  # came with 0007
                writer.end(manifest)
            elif member.name != archive.SUMS:
                writer.add(member.name, member.content())
    return older


def test_an_older_one_is_brought_up_to_date(kept: Path, place: Place, elsewhere: Place) -> None:
    restore(elsewhere, of_an_older_version(kept))
    assert rows(elsewhere.database_url)["schema"] == [schema.REVISION]
    assert rows(elsewhere.database_url)["faces"] == rows(place.database_url)["faces"]


def test_one_that_was_interrupted_before_it_deleted_goes_on(
    kept: Path, filled: dict[str, UUID], elsewhere: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = {"tenant": "local", "job": str(filled["finished"]), "image": None}
    (file := tmp_path / "deletions.jsonl").write_text(json.dumps(deleted))
    older = of_an_older_version(kept)
    with monkeypatch.context() as patched:
        patched.setattr("services.backup.restore.upgrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            restore(elsewhere, older, file)
    assert restore(elsewhere, older, file).deleted == 1
    assert rows(elsewhere.database_url)["schema"] == [schema.REVISION]
    assert str(filled["finished"]) not in str(rows(elsewhere.database_url)["jobs"])
    assert refused(elsewhere, older) == "restore_not_empty"


def test_bundles_that_have_no_place_are_left_out(kept: Path, elsewhere: Place, tmp_path: Path) -> None:
    (tmp_path / "read-only").write_text("no folder can be made in it")
    assert restore(replace(elsewhere, bundles=tmp_path / "read-only" / "bundles"), kept).left == 1


def test_only_its_owner_may_read_it_and_it_replaces_nothing(kept: Path, place: Place) -> None:
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    before = kept.read_bytes()
    with pytest.raises(FileExistsError, match="already"):
        backup(place, kept)
    assert kept.read_bytes() == before


def test_what_breaks_off_leaves_no_file_and_holds_up_nobody(
    place: Place, filled: dict[str, UUID], tmp_path: Path
) -> None:
    def interrupted(doing: str, done: int, total: int) -> None:
        if doing == "Objects":
            raise KeyboardInterrupt

    before = set(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        backup(place, tmp_path / "kept.tar", interrupted)
    assert set(tmp_path.iterdir()) == before
    engine = create_engine(place.database_url)
    assert unless_kept(engine, lambda: 1) == 1
    engine.dispose()


def test_a_name_that_leads_out_of_the_folder_is_refused(kept: Path, elsewhere: Place) -> None:
    crafted = kept.with_name("crafted.tar")
    with archive.written(crafted) as writer:
        for member in archive.members(kept):
            if member.name == archive.MANIFEST:
                writer.add("bundles/../../out", b"-")
                writer.end(json.loads(member.content()))
            elif member.name != archive.SUMS:
                writer.add(member.name, member.content())
    with pytest.raises(FacememError):
        restore(elsewhere, crafted)
    assert not list(elsewhere.objects.root.parent.parent.glob("**/out"))


def test_tar_and_sha256sum_can_read_it(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    subprocess.run(["tar", "-xf", kept, "-C", folder], check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", archive.SUMS], cwd=folder, check=True)
