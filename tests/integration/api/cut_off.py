"""A line to a service that is cut in the middle of what is sent: a browser's own means cut it before or after that."""

import socket
import struct
import threading
from contextlib import suppress

PIECE = 65_536
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: what is closed is reset, and nothing is sent any more


class CutOff:
    """Carries everything to a service and back.

    While `cutting` is set, requests that begin with it are cut off when `after` bytes of them have passed; `cut` counts
    them. The next request that begins with `losing` arrives, but its answer does not; the same are cut off after it.
    """

    def __init__(self, port: int, after: int) -> None:
        self.cutting: bytes | None = None
        self.losing: bytes | None = None
        self.cut = 0
        self._service = port
        self._after = after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                browser, _ = self._listening.accept()
                service = socket.create_connection(("127.0.0.1", self._service))
                lost = threading.Event()
                threading.Thread(target=self._forth, args=(browser, service, lost), daemon=True).start()
                threading.Thread(target=self._back, args=(service, browser, lost), daemon=True).start()

    def _forth(self, browser: socket.socket, service: socket.socket, lost: threading.Event) -> None:
        passed: int | None = None  # of a request that is to be cut off
        with suppress(OSError), browser, service:
            while piece := browser.recv(PIECE):
                if self.cutting and piece.startswith(self.cutting):
                    passed = 0
                elif self.losing and piece.startswith(self.losing):
                    lost.set()
                    self.cutting, self._after, self.losing = self.losing, 0, None
                if passed is not None and (passed := passed + len(piece)) > self._after:
                    self.cut += 1
                    browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                    return
                service.sendall(piece)

    @staticmethod
    def _back(service: socket.socket, browser: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while piece := service.recv(PIECE):
                if lost.is_set():
                    break
                browser.sendall(piece)
            browser.shutdown(socket.SHUT_RDWR)
