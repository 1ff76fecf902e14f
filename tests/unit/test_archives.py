"""Zip and tar archives, read while they arrive: what is taken, what is refused, and that nothing is taken on trust."""

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import chain
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from services.api.problems import LimitExceeded, RequestError
from services.api.submission import unpacking
from services.api.submission.reading import ARCHIVES
from services.api.submission.refusals import InvalidArchive, UnsupportedArchive
from services.api.submission.storing import Place, Storing
from services.api.submission.zips import EncryptedArchive
from shared.jobs.accept import NewImage
from shared.settings import Settings

MIB = 1024 * 1024
SETTINGS = Settings(
    database_url="postgresql+psycopg://-",
    broker_url="redis://-",
    storage_url="folder:/-",
    max_file_bytes=1000,
    max_images_per_job=20,
    max_unpacked_bytes=200 * MIB,
)
FILES = {"a.jpg": b"one", "folder/b.jpg": b"two" * 300, "ü.jpg": b"", "large.jpg": b"-" * 1001}
KINDS = ["zip", "stored zip", "tar", "tar.gz"]


class Memory:
    """Storage that keeps what it gets."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, content: bytes | io.BufferedIOBase) -> None:
        self.kept[key] = content if isinstance(content, bytes) else content.read()


def taken(kind: str, archive: bytes, chunk: int = 7000) -> tuple[list[NewImage], Memory]:
    memory = Memory()
    media_type = {"zip": "application/zip", "tar": "application/x-tar"}[kind]
    pieces = (archive[at : at + chunk] for at in range(0, len(archive), chunk))
    with Storing(uuid4(), SETTINGS, Place(memory, lambda _: None, lambda _: None)) as storing:
        unpacking.receive(pieces, ARCHIVES[media_type], SETTINGS, storing)
    found = list(storing.records)
    storing.records.close()
    return found, memory


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in files.items():
            head = tarfile.TarInfo(name)
            head.size = len(content)
            archive.addfile(head, io.BytesIO(content))
    return file.getvalue()


def packed(kind: str, files: dict[str, bytes]) -> tuple[str, bytes]:
    if "zip" in kind:
        return "zip", zipped(files, zipfile.ZIP_STORED if "stored" in kind else zipfile.ZIP_DEFLATED)
    return "tar", gzip.compress(tarred(files)) if kind.endswith("gz") else tarred(files)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 100, 70_000])
def test_members_are_stored_under_their_names(kind: str, chunk: int) -> None:
    found, memory = taken(*packed(kind, FILES), chunk)
    assert [image.name for image in found] == list(FILES)
    assert [image.rejected.code if image.rejected else None for image in found] == [None, None, None, "too_large"]
    for image, content in zip(found[:3], FILES.values(), strict=False):
        assert memory.kept[image.original_key or ""] == content
        assert image.original_bytes == len(content)
    assert len(memory.kept) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_systems_leave_behind_is_ignored(kind: str) -> None:
    names = ["__MACOSX/._a.jpg", ".DS_Store", "folder/.hidden/a.jpg", "Thumbs.db", "folder\\desktop.ini", "../up.jpg"]
    found, _ = taken(*packed(kind, dict.fromkeys(names, b"-")))
    assert [image.name for image in found] == ["../up.jpg"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_may_be_empty_and_may_not_have_too_many_members(kind: str) -> None:
    assert taken(*packed(kind, {}))[0] == []
    with pytest.raises(LimitExceeded) as refused:
        taken(*packed(kind, {f"{number}.jpg": b"-" for number in range(21)}))
    assert refused.value.limit == "max_images_per_job"


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_archive_is_refused_wherever_it_is_cut(kind: str) -> None:
    how, whole = packed(kind, {"a.jpg": b"-" * 500, "b.jpg": b"-" * 500})
    # A tar ends with its first empty block; what follows is padding.
    most = len(whole) if kind != "tar" else whole.rindex(b"-") + 12
    for length in range(0, most, 7):
        with pytest.raises(InvalidArchive) as refused:
            taken(how, whole[:length])
        assert len(refused.value.detail) > 30


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_what_grows_without_end_is_refused(kind: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        taken(*packed(kind, {"a.jpg": bytes(80 * MIB)}))
    assert refused.value.limit == "max_archive_ratio"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_too_much_unpacked_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_RATIO", 1_000_000)
    small = SETTINGS.model_copy(update={"max_unpacked_bytes": 3000})
    monkeypatch.setitem(globals(), "SETTINGS", small)
    with pytest.raises(LimitExceeded) as refused:
        taken(*packed(kind, {"a.jpg": bytes(2000), "b.jpg": bytes(2000)}))
    assert refused.value.limit == "max_unpacked_bytes"


ANY_CHANGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.parametrize("kind", KINDS)
@tries(max_examples=150, deadline=None)
@given(changes=ANY_CHANGE, cut=st.floats(0, 1))
def test_damage_never_breaks_it(kind: str, changes: list[tuple[float, int]], cut: float) -> None:
    how, whole = packed(kind, {"a.jpg": b"abc" * 50, "b.jpg": b"x"})
    damaged = bytearray(whole)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    for archive in (bytes(damaged), bytes(damaged[: int(cut * len(damaged))])):
        try:
            found, _ = taken(how, archive)
        except RequestError as error:
            statuses = {error.status}
        else:
            statuses = set()
            assert len(found) <= 2
        assert all(400 <= status < 500 for status in statuses)


# --- Zip ---------------------------------------------------------------------------------------------------------


def test_a_zip_from_a_pipe_can_be_read_if_it_is_compressed() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, some: bytes) -> int:
            self.written += bytes(some)
            return len(some)

    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", method) as archive, archive.open("a.jpg", "w") as member:
            member.write(b"content")
        if method == zipfile.ZIP_DEFLATED:
            assert len(taken("zip", pipe.written)[0]) == 1
            continue
        with pytest.raises(UnsupportedArchive) as refused:
            taken("zip", pipe.written)
        assert "with compression" in refused.value.detail


def test_an_encrypted_zip_is_refused() -> None:
    archive = bytearray(zipped({"a.jpg": b"-" * 100}))
    archive[6] |= 1
    with pytest.raises(EncryptedArchive):
        taken("zip", bytes(archive))


def test_a_directory_that_lists_other_members_is_refused() -> None:
    two = zipped({"a.jpg": b"-" * 100, "b.jpg": b"-"})
    place = two.rindex(b"PK\5\6")
    fewer = bytearray(two)
    struct.pack_into("<2H", fewer, place + 8, 1, 1)
    one = zipped({"a.jpg": b"-" * 100})
    for archive in (bytes(fewer), two + b"more", one[: one.index(b"PK\1\2")] + two):
        with pytest.raises(InvalidArchive):
            taken("zip", archive)


def test_a_comment_is_no_damage() -> None:
    file = io.BytesIO(zipped({"a.jpg": b"-"}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"PK\5" * 100
    assert len(taken("zip", file.getvalue())[0]) == 1


def test_a_wrong_checksum_is_damage() -> None:
    archive = zipped({"a.jpg": b"content of a"}, zipfile.ZIP_STORED).replace(b"content", b"kontent", 1)
    with pytest.raises(InvalidArchive):
        taken("zip", archive)


def test_folders_and_old_names() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/x.jpg", b"-")
    old = file.getvalue().replace(b"folder/x.jpg", b"folder/\x81.jpg")
    assert [image.name for image in taken("zip", old)[0]] == ["folder/ü.jpg"]


# --- Tar ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form: int) -> None:
    name = "/".join(["folder" * 10] * 3)
    assert [image.name for image in taken("tar", tarred({name: b"-"}, form))[0]] == [name]


def test_names_are_cut_to_what_can_be_shown() -> None:
    for kind in KINDS:
        assert [image.name for image in taken(*packed(kind, {"n" * 300: b"-"}))[0]] == ["n" * 200]


def test_what_is_no_file_fails_alone() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            head = tarfile.TarInfo(f"{kind.decode()}.jpg")
            head.type, head.linkname = kind, "/etc/passwd"
            archive.addfile(head)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        last = tarfile.TarInfo("last.jpg")
        last.size = 4
        archive.addfile(last, io.BytesIO(b"last"))
    found, memory = taken("tar", file.getvalue())
    assert [image.rejected.code if image.rejected else None for image in found] == ["not_a_file"] * 5 + [None]
    assert list(memory.kept.values()) == [b"last"]


def head(kind: bytes, size: int, name: str = "a.jpg") -> bytes:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    return made.tobuf(tarfile.GNU_FORMAT)


def endless(first: bytes, again: bytes) -> Iterator[bytes]:
    """An archive that has no end; whoever takes it all is stopped."""
    yield first
    for _ in range(1000):
        yield again
    pytest.fail("more was read than a head may have")


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param((head(tarfile.XHDTYPE, 8 * 1024**3), b"-" * 65536), id="giant attributes"),
        pytest.param((head(tarfile.XGLTYPE, 8 * 1024**3), b"-" * 65536), id="giant common attributes"),
        pytest.param((head(tarfile.GNUTYPE_LONGNAME, 8 * 1024**3), b"-" * 65536), id="giant name"),
        pytest.param((b"", head(tarfile.XHDTYPE, 0)), id="attributes of attributes"),
        pytest.param((head(tarfile.GNUTYPE_LONGNAME, 5) + b"a" * 512, head(tarfile.GNUTYPE_LONGNAME, 0)), id="names"),
        pytest.param((head(b"?", 8 * 1024**3), b"-" * 65536), id="giant unknown member"),
    ],
)
def test_heads_are_bounded(archive: tuple[bytes, bytes]) -> None:
    guard = unpacking.Guard(SETTINGS)
    pieces = endless(archive[0], archive[1] * (65536 // len(archive[1])))
    members = ARCHIVES["application/x-tar"](pieces, guard)
    with pytest.raises((InvalidArchive, LimitExceeded)):
        list(chain.from_iterable(member.content for member in members))
    assert guard.packed < 2 * MIB


def test_sizes_without_sense_are_refused() -> None:
    for size in (8**11 - 1, 2**70, -5):
        made = bytearray(head(tarfile.REGTYPE, 0))
        made[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
        made[148:156] = b" " * 8
        made[148:156] = b"%06o\0 " % sum(made)
        try:
            found, memory = taken("tar", bytes(made) + b"-" * 1024)
        except (InvalidArchive, LimitExceeded):
            continue
        assert memory.kept == {}
        assert [image.state for image in found] in ([], ["failed"])


def test_several_gzip_files_in_a_row_are_one() -> None:
    whole = tarred({"a.jpg": b"-" * 900})
    assert len(taken("tar", gzip.compress(whole[:700]) + gzip.compress(whole[700:]))[0]) == 1


def test_a_damaged_gzip_is_refused() -> None:
    archive = bytearray(gzip.compress(tarred({"a.jpg": b"-"})))
    archive[-6] ^= 1
    with pytest.raises(InvalidArchive):
        taken("tar", bytes(archive))
