"""Log-log plots as PNG files; without matplotlib there are none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# By kind of instance, so that a kind looks the same in every panel.
_MARKERS = "osD^v"


def new_figure(n_panels: int) -> tuple[Any, Sequence[Any]] | None:
    """Return a figure and its panels side by side; None if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # draws without a display, and leaves no global state
    except ImportError:
        return None
    figure = Figure(figsize=(6.4 * n_panels, 4.8), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, n_panels)).tolist()


def scaling_figure(examples: list[dict], times: list[dict], path: Path) -> bool:
    """Plot examples needed and time against their physical limits; return whether there is matplotlib to do so."""
    drawn = new_figure(2)
    if drawn is None:
        return False
    figure, (left, right) = drawn
    found = [point for point in examples if point["fewest examples"] is not None]
    scatter(left, found, "information limit", "fewest examples", "instance")
    _limit(left, [point["information limit"] for point in found], "information limit")
    left.set(
        xlabel="log2(candidate functions) / bits that an example tells",
        ylabel="fewest examples without error on unseen",
    )
    scatter(right, times, "seconds at the matrix-product rate", "fit seconds", "instance")
    scatter(right, times, "seconds at the matrix-product rate", "pair seconds", None, filled=False)
    _limit(right, [point["seconds at the matrix-product rate"] for point in times], "matrix-product rate")
    right.set(xlabel="screening operations / matrix-product rate, s", ylabel="seconds (hollow: scoring of pairs alone)")
    save(figure, (left, right), path)
    return True


def scatter(panel: Any, points: list[dict], x: str, y: str, label: str | None, filled: bool = True) -> None:
    """Draw points of each kind with a marker of its own, and names beside them."""
    for marker, kind in zip(_MARKERS, dict.fromkeys(point["kind"] for point in points), strict=False):
        own = [point for point in points if point["kind"] == kind]
        panel.plot(
            [point[x] for point in own],
            [point[y] for point in own],
            marker,
            color=f"C{_MARKERS.index(marker)}",
            fillstyle="full" if filled else "none",
            label=kind if filled else None,
        )
        for point in own if label else ():
            name = point[label].removeprefix(f"{kind} ")
            panel.annotate(name, (point[x], point[y]), xytext=(4, 4), textcoords="offset points", fontsize=7)


def save(figure: Any, panels: Sequence[Any], path: Path) -> None:
    """Make all axes logarithmic, and write the file."""
    for panel in panels:
        panel.set(xscale="log", yscale="log")
        panel.grid(visible=True, which="both", alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def _limit(panel: Any, values: list[float], label: str) -> None:
    if values:
        ends = [min(values) / 1.5, max(values) * 1.5]
        panel.plot(ends, ends, "k--", linewidth=1, label=label)
