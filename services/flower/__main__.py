"""`python -m services.flower`: the window on the workers."""

import sys

from services.flower.serve import serve
from shared import logs
from shared.errors import FlowerExposed
from shared.settings import settings

if __name__ == "__main__":
    configured = settings()
    logs.configure(configured, "flower")
    try:
        serve(configured)
    except FlowerExposed as error:
        sys.exit(f"{error} {error.advice()}")
