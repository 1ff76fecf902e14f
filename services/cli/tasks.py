"""Long computations, each with the share that is done."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Tasks(Progress):
    """Bars on a terminal, one for each thing that is done; elsewhere a line when one begins."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("  {task.description:<44}"), BarColumn(bar_width=32), TimeElapsedColumn())
        super().__init__(*columns, console=console, disable=not console.is_terminal)
        self._known: dict[str, TaskID] = {}

    def done(self, what: str, share: float) -> None:
        """Called with what is being done and the share of it, 0..1, that is done."""
        if what not in self._known:
            self._known[what] = self.add_task(what, total=1.0)
            if self.disable:
                self.console.print(f"{what} ...", markup=False)
        self.update(self._known[what], completed=share)
