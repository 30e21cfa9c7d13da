"""A progress bar over the blocks of a fit."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rungwise.fitting.training import BlockReport


class ProgressBar:
    """A callback and context manager that shows the blocks fitted, on standard error.

    How many blocks there will be is not known: the bar fills as labels are settled, and moves to and fro once blocks of
    features are added to the labels that are left.
    """

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("fitting block 1", total=None)
        self._n_settled = 0

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, report: BlockReport) -> None:
        """Show what a block did."""
        n_labels, n_new = len(report.settled), int(report.settled.sum())
        self._n_settled += n_new
        error = float(report.error_after.mean())
        if n_new:
            text = f"block {report.block}: {self._n_settled} of {n_labels} labels settled, mean error {error:.4f}"
            self._progress.update(self._task, total=n_labels, completed=self._n_settled, description=text)
        else:
            text = f"block {report.block}: {int(report.taken.sum())} labels improved, mean error {error:.4f}"
            self._progress.update(self._task, total=None, description=text)
