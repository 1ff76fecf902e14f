"""Looking for planted words and bytes in everything that a running system keeps: tables, objects, Redis, files."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

import redis
from sqlalchemy import Connection, text

from tests.system.conftest import Running


def encodings(planted: bytes) -> set[bytes]:
    """How something may be written down: as it is, as hex, in base64 at any offset, in two bytes a letter."""
    forms = {planted, planted.hex().encode(), planted.hex().upper().encode()}
    for offset in range(3):
        # What of it does not depend on the bytes around it.
        whole = base64.b64encode(b"\0" * offset + planted)
        forms.add(whole[offset and 4 : len(whole) - 4])
        forms.add(whole[offset and 4 : len(whole) - 4].replace(b"+", b"-").replace(b"/", b"_"))
    if planted.isascii():
        forms.add(planted.decode().encode("utf-16-le"))
    return forms


class Search:
    """What is looked for, by name, and where it was found."""

    def __init__(self, planted: dict[str, bytes]) -> None:
        self._forms = {name: encodings(each) for name, each in planted.items()}

    @property
    def names(self) -> set[str]:
        return set(self._forms)

    def in_(self, content: bytes) -> set[str]:
        """The names of what is in some bytes."""
        return {name for name, forms in self._forms.items() if any(form in content for form in forms)}

    def everywhere(self, running: Running, folders: Iterable[Path]) -> dict[str, set[str]]:
        """Where each was found: the name of a column, key or file, and the names of what is in it."""
        found: dict[str, set[str]] = {}
        with running.database.connect() as connection:
            places = [*_rows(connection), *_objects(running), *_redis(running.broker_url), *_files(folders)]
        for place, content in places:
            if names := self.in_(content):
                found.setdefault(place, set()).update(names)
        return found


def _rows(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """Every value of every column of every table: texts, documents, lists and numbers as text, bytes as they are."""
    columns = connection.execute(
        text("""
            select table_schema, table_name, column_name, data_type from information_schema.columns
            where table_schema not in ('pg_catalog', 'information_schema')
        """)
    ).all()
    assert {"images", "faces", "audit", "deletions", "idempotency"} <= {column.table_name for column in columns}
    for schema, table, column, kind in columns:
        written = f'"{column}"' if kind == "bytea" else f"convert_to(\"{column}\"::text, 'UTF8')"
        query = f'select {written} from "{schema}"."{table}" where "{column}" is not null'
        for value in connection.execute(text(query)).scalars():
            yield f"{table}.{column}", bytes(value)


def _objects(running: Running) -> Iterator[tuple[str, bytes]]:
    """Every object of the bucket with its key, its headers and its metadata, and every upload in parts."""
    client = running.bucket.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=running.bucket.name):
        for entry in page.get("Contents", ()):
            try:
                answer = client.get_object(Bucket=running.bucket.name, Key=entry["Key"])
                content = answer.pop("Body").read()
            except client.exceptions.NoSuchKey:
                continue  # Workers go on while we look.
            yield f"object {entry['Key']}", entry["Key"].encode() + repr(answer).encode() + content
    parts = client.list_multipart_uploads(Bucket=running.bucket.name).get("Uploads", [])
    yield "uploads in parts", repr(parts).encode()


def _redis(broker_url: str) -> Iterator[tuple[str, bytes]]:
    """Every key with its value, whatever its type."""
    with redis.Redis.from_url(broker_url) as broker:
        for key in broker.scan_iter():
            read = {
                b"string": lambda key: broker.get(key),
                b"list": lambda key: broker.lrange(key, 0, -1),
                b"hash": lambda key: broker.hgetall(key),
                b"set": lambda key: broker.smembers(key),
                b"zset": lambda key: broker.zrange(key, 0, -1, withscores=True),
                b"stream": lambda key: broker.xrange(key),
                b"none": lambda key: "gone since",  # a queue that was emptied meanwhile: its key goes with it
            }[broker.type(key)]
            yield f"redis {key.decode()}", key + _flat(read(key))


def _flat(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        return b" ".join(_flat(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple | set):
        return b" ".join(map(_flat, value))
    return repr(value).encode()


def _files(folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Every file below some folders, logs and files that are just being written included, with its path."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"file {path}", str(path).encode() + path.read_bytes()
