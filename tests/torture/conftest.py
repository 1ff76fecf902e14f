"""The machine that faults are done to."""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.client import Facemem
from services.local import supervisor
from tests.photo_server import photo_server
from tests.torture.machine import Machine, machine
from tests.torture.torture import PICTURE, Torture
from tests.webhook_receiver import receiver

# So large are the disks that are filled: room for what is kept there, and little more.
# That of Redis has room for its log, which it begins anew at 64 MB, and for the new one beside it.
DISKS = {"database": "400m", "broker": "192m", "temporary": "64m"}


@pytest.fixture(scope="session")
def torture() -> Iterator[Torture]:
    with machine_folder() as home, machine(home) as running, tortured(running) as made:
        yield made


@contextmanager
def machine_folder() -> Iterator[Path]:
    """A folder whose parts are small disks of their own, where this may be arranged."""
    # A short path: it holds a socket.
    home = Path(tempfile.mkdtemp(prefix="torture-"))
    mounted = []
    for name, size in DISKS.items():
        place = home / name
        place.mkdir()
        if os.geteuid() == 0:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "torture", str(place)]
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                mounted.append(place)
    home.chmod(0o711)
    try:
        yield home
    finally:
        for place in mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
        shutil.rmtree(home)


@contextmanager
def tortured(running: Machine) -> Iterator[Torture]:
    # What ends again and again is wanted back at once.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # or a failure would show every request of storage
    supervisor.LONGEST_DELAY_SECONDS = supervisor.FIRST_DELAY_SECONDS
    with (
        receiver() as listening,
        photo_server(lambda path: PICTURE + path.encode()) as links,
        Facemem(running.api_url) as client,
    ):
        secret = client.webhooks.create(f"{listening.address}/events").secret
        yield Torture(running, listening, secret, links, running.home / "uploads")
