"""How to get into Flower on one machine. Where nobody has chosen a password, one is made and kept in the data folder.

Any user of this machine can reach a loopback port. The password stays from run to run, so that a browser may keep it.
"""

import os
import secrets
from pathlib import Path

from shared.settings import Settings


def password(file: Path) -> str:
    """The one kept in this file, which only its owner can read; a new one if there is none yet."""
    kept = file.read_text().strip() if file.exists() else ""
    if kept:
        return kept
    made = secrets.token_urlsafe(18)
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(f"{made}\n")
    draft.replace(file)
    return made


def environment(chosen: Settings, file: Path, url: str) -> dict[str, str]:
    """Where Flower is and what it asks for, as our processes are told. What somebody chose stays."""
    secret = chosen.flower_password.get_secret_value() if chosen.flower_password else password(file)
    return {"FACEMEM_FLOWER_URL": str(chosen.flower_url or url), "FACEMEM_FLOWER_PASSWORD": secret}


def login(chosen: Settings, file: Path) -> str:
    """What to answer when it asks, in words. A password that somebody chose is not repeated."""
    secret = "FACEMEM_FLOWER_PASSWORD" if chosen.flower_password else password(file)
    return f"user {chosen.flower_user}, password {secret}"
