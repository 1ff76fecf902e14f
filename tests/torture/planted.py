"""One of facemem's processes, with a planted fault as long as a file names one.

python -m tests.torture.planted MODULE [ARGUMENT ...]
"""

import os
import runpy
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests.torture.planted_faults import FAULTS, faulty

NAMED_IN = "TORTURE_PLANTED"  # the environment variable that says in which file
BY_NAME = {fault.name: fault for fault in FAULTS}


def plant(named_in: Path) -> None:
    """From now on every statement of this process has the fault that is named just then."""

    def change(
        connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool
    ) -> tuple[str, Any]:
        fault = BY_NAME.get(named_in.read_text())
        return (fault and faulty(fault, statement)) or statement, parameters

    event.listen(Engine, "before_cursor_execute", change, retval=True)


if __name__ == "__main__":
    plant(Path(os.environ[NAMED_IN]))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
