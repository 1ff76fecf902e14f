"""How every process of ours begins."""

import sys
from collections.abc import Callable

from shared.errors import FacememError


def run(main: Callable[[], None]) -> None:
    """Run a process. An error of ours ends it with a sentence and its advice; a traceback is for the unforeseen."""
    try:
        main()
    except FacememError as error:
        sys.exit(f"{error.detail}\n{error.advice()}".strip())
