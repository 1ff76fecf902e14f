"""A door in front of a server: what goes through it goes to the server, and while it is shut the server is away."""

import socket
import threading
from types import TracebackType
from typing import Self

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class Relay:
    """Listens on a port of loopback, the same one however often it is shut and opened.

    Of several servers each caller gets the first that lets it in, as behind a load balancer.
    """

    def __init__(self, *servers: Address) -> None:
        self._servers = servers
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._changing = threading.Lock()
        self.port = 0
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()

    def open(self) -> None:
        """Let everybody in. Nothing happens if it is open."""
        if self._listener is not None:
            return
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Let nobody in, and end what goes on."""
        with self._changing:
            listener, self._listener = self._listener, None
            ends, self._ends = self._ends, set()
        for end in filter(None, (listener, *ends)):
            try:
                end.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who reads or accepts
            except OSError:
                """It has ended already."""
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            server = self._reached()
            with self._changing:
                if self._listener is not listener:
                    caller.close()
                    server.close()
                    return
                self._ends |= {caller, server}
            for source, target in ((caller, server), (server, caller)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _reached(self) -> socket.socket:
        for number, address in enumerate(self._servers, start=1):
            server = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
            try:
                server.connect(address)
            except OSError:
                server.close()
                if number == len(self._servers):
                    raise
            else:
                return server
        raise AssertionError("it has servers")

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while content := source.recv(65536):
                target.sendall(content)
        except OSError:
            """One of the ends has gone."""
        with self._changing:
            self._ends -= {source, target}
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                """It has ended already."""
