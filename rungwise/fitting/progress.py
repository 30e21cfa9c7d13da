"""A progress bar over the blocks of a fit."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rungwise.fitting.layerwise import BlockReport


class ProgressBar:
    """A callback and context manager that shows the blocks fitted, on standard error.

    Parameters
    ----------
    max_depth : int
        Most blocks; the bar ends early when no label improves.
    """

    def __init__(self, max_depth: int) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("fitting block 1", total=max_depth)

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, report: BlockReport) -> None:
        """Advance by one block."""
        description = (
            f"block {report.block}: {int(report.taken.sum())} of {len(report.taken)} labels improved, "
            f"mean honest error {float(report.error_after.mean()):.4f}"
        )
        self._progress.update(self._task, completed=report.block, description=description)
