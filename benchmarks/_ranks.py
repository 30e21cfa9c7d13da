"""Mean ranks of learners over sets, and the Nemenyi test's critical difference between them (Demšar, JMLR 7, 2006).

CD = q √(k (k + 1) / (6 N)),    k learners, N sets, q the studentized range's 0.95 quantile over √2
"""

import math
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, studentized_range

from benchmarks._plots import new_figure


def mean_ranks(values: np.ndarray, more_is_better: bool) -> np.ndarray:
    """Return the mean rank of every learner, 1 = best, from values of shape (n_learners, n_sets).

    Ties share a rank. NaN, no answer in time, ranks behind every value.
    """
    worst = -np.inf if more_is_better else np.inf
    losses = np.where(np.isnan(values), worst, values) * (-1 if more_is_better else 1)
    return rankdata(losses, axis=0).mean(axis=1)


def critical_difference(n_learners: int, n_sets: int) -> float:
    """Return how far apart two mean ranks must be to differ at the level 0.05."""
    quantile = studentized_range.ppf(0.95, n_learners, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(n_learners * (n_learners + 1) / (6 * n_sets)))


def groups_without_difference(ranks: np.ndarray, difference: float) -> list[tuple[float, float]]:
    """Return (lowest, highest rank) of each largest group of two or more learners that lie within the difference."""
    ordered = np.sort(ranks)
    ends = np.searchsorted(ordered, ordered + difference, side="right") - 1
    new = np.r_[True, ends[1:] > ends[:-1]]
    return [(float(ordered[i]), float(ordered[end])) for i, end in enumerate(ends) if new[i] and end > i]


def ranks_figure(ranks: dict[str, dict[str, float]], difference: float, path: Path) -> bool:
    """Draw a critical-difference diagram for each measure; return whether there is matplotlib to do so."""
    drawn = new_figure(len(ranks))
    if drawn is None:
        return False
    figure, panels = drawn
    for panel, (measure, by_learner) in zip(panels, ranks.items(), strict=True):
        ordered = sorted(by_learner.items(), key=lambda item: item[1])
        for row, (learner, rank) in enumerate(ordered):
            panel.plot(rank, row, "ko", markersize=4)
            # Names towards the middle, where there is room.
            side = 1 if rank < (1 + len(ordered)) / 2 else -1
            panel.annotate(
                f"{learner} ({rank:.2f})",
                (rank, row),
                xytext=(6 * side, -3),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                size=8,
            )
        groups = groups_without_difference(np.array(list(by_learner.values())), difference)
        for row, (low, high) in enumerate(groups):
            panel.plot([low, high], [-1 - 0.5 * row] * 2, "C3", linewidth=3)
        panel.set(title=measure, xlabel=f"mean rank (red: within the critical difference, {difference:.2f})", yticks=[])
        panel.set_xlim(0.5, len(ordered) + 0.5)
        panel.invert_yaxis()
    figure.savefig(path, dpi=150)
    return True
