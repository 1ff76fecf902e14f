"""Links that lead nowhere public, or are no links: neither intake nor a webhook may follow one.

Also what shows that none is followed: a trap that counts who comes, and an internet of the test's own.
"""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pytest

# Hosts that are addresses, each in a notation that some program follows.
ADDRESSES = (
    # This machine, as people and as resolvers write it.
    *("127.0.0.1", "127.1.2.3", "127.1", "127.0.1", "0", "0.0.0.0", "0.1.2.3"),
    *("2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.1", "0x7f.0.0.1", "00000177.1", "127.0.0x0.1"),
    *("127.0.0.1.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "127。0。0。1", "127．0．0．1", "１２７.0.0.1", "①②⑦.0.0.1"),
    # Networks of one's own, the provider's, and those between.
    *("10.0.0.1", "012.0.0.1", "0xa.1", "172.16.0.1", "172.31.255.255", "2886729729", "192.168.0.1", "0xc0a80001"),
    *("100.64.0.1", "100.127.255.254", "169.254.0.1", "192.0.0.1", "192.0.0.9", "192.88.99.1"),
    *("[fc00::1]", "[fd12:3456:789a::1]", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]"),
    # Nobody's: documentation, measurements, many at once, later use.
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295"),
    *("[2001:db8::1]", "[3fff::1]", "[2001:2::1]", "[2001:20::1]", "[100::1]", "[5f00::1]", "[4000::1]"),
    *("[ff02::1]", "[ff0e::1]"),
    # IPv4 addresses inside of others: mapped, compatible, translated, 6to4, Teredo.
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]"),
    *("[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::7f00:1]"),
    *("[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]"),
    # What clouds tell their machines about themselves, keys included.
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.170.2"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "[fd00:ec2::254]", "[fd20:ce::254]"),
)
# What cannot be followed, wherever it leads.
NO_LINKS = (
    "http://example.org/a.jpg",
    "file:///etc/passwd",
    "ftp://example.org/a.jpg",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:6379/INFO",
    "data:image/png;base64,iVBORw0KGgo=",
    "ldap://127.0.0.1/",
    "https://user:password@example.org/",
    "https://user@example.org/",
    "https://1.1.1.1@127.0.0.1/",
    "https://1.1.1.1:443@127.0.0.1/",
    "https://",
    "https://example.org:99999/",
    "https://example.org:-1/",
    "https://example.org:port/",
    "https://example.org:0/",
    "https://127.0.0.1:443:80/",
    "https://exam\0ple.org/",
    "https://exam ple.org/",
)
# What programs read differently: browsers see another host than the libraries that connect.
AMBIGUOUS = ("https://1.1.1.1\\@127.0.0.1/", "https://example.org#@127.0.0.1:x/", "https:///a.jpg")
HOSTILE = (*NO_LINKS, *AMBIGUOUS, *(f"https://{host}/latest/meta-data/" for host in ADDRESSES))
# Names that say what they are.
LOCAL_NAMES = ("localhost", "localhost.", "LOCALHOST", "a.localhost", "printer.local", "router.home.arpa")
LOCAL_NAMES += ("metadata.google.internal", "metadata.google.internal.", "instance-data.ec2.internal")
LOCAL = tuple(f"https://{name}/" for name in LOCAL_NAMES)

PUBLIC = "93.184.215.14"  # where nothing of these tests ever goes: `Internet` stands for it
# What only looking up a name shows: the answers of a name server, one after the other; the last one is for ever.
NAMES: dict[str, list[list[str]]] = {
    "loopback.test": [["127.0.0.1"]],
    "loopback-v6.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "inside.test": [["10.1.2.3"]],
    "metadata.test": [["169.254.169.254"]],
    "compatible.test": [["::127.0.0.1"]],
    "mixed.test": [[PUBLIC, "127.0.0.1"]],
    "mixed-other-way.test": [["127.0.0.1", PUBLIC]],
    "mixed-families.test": [[PUBLIC, "::1"]],
    **{name: [["127.0.0.1"]] for name in LOCAL_NAMES},
}
REBINDING = "rebinding.test"  # a name server's oldest trick: public when it is checked, and then not


@dataclass
class Internet:
    """What a process meets when it looks up names and connects, while it may not reach the real thing.

    `port` is the trap's, on every address of this machine; `caught` has whoever came. `asked` counts the look-ups of a
    name, `connected` has every address that a connection was begun to. Connections to PUBLIC go to `site`, a port of
    this machine; all others but those to this machine are refused.
    """

    port: int = 0
    site: int | None = None
    caught: list[Any] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    connected: list[tuple[str, int]] = field(default_factory=list)

    def answers(self, name: str) -> list[str] | None:
        """What the name server says this time; None for a name that is not its own."""
        told = {**NAMES, REBINDING: [[PUBLIC], ["127.0.0.1"]], "public.test": [[PUBLIC]]}.get(name)
        if told is None:
            return None
        self.asked[name] += 1
        return told[min(self.asked[name], len(told)) - 1]


@contextmanager
def internet() -> Iterator[Internet]:
    """Such an internet, in place of the real one."""
    made, patch = Internet(), pytest.MonkeyPatch()
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def getaddrinfo(host: Any, port: Any, family: int = 0, *rest: int, **options: int) -> list[Any]:
        told = made.answers(host.decode() if isinstance(host, bytes) else str(host))
        kind, proto, flags = (*rest, *(0, 0, 0)[len(rest) :])
        options = {"type": kind, "proto": proto, "flags": flags, **options}
        options["flags"] |= socket.AI_NUMERICHOST  # no name leads anywhere but those of the name server above
        found = (look_up(each, port, family, **options) for each in ([host] if told is None else told))
        return list(chain.from_iterable(found))

    def connected(self: socket.socket, address: Any) -> None:
        if self.family not in (socket.AF_INET, socket.AF_INET6):
            return connect(self, address)
        made.connected.append((address[0], address[1]))
        if address[0] == PUBLIC and made.site is not None:
            return connect(self, ("127.0.0.1", made.site))
        if address[0] not in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            raise ConnectionRefusedError("a test reaches nobody")
        return connect(self, address)

    with _trap(made):
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        patch.setattr(socket.socket, "connect", connected)
        try:
            yield made
        finally:
            patch.undo()


@contextmanager
def _trap(made: Internet) -> Iterator[None]:
    """A server on every address of this machine that counts who comes."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=both) as server:
        made.port = server.getsockname()[1]

        def catch() -> None:
            with suppress(OSError):  # closed: the test is over
                while True:
                    visitor, address = server.accept()
                    made.caught.append(address)
                    visitor.close()

        thread = threading.Thread(target=catch, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
