"""The least of something that is enough, and how it grows: the exponent of a power law, with its standard error."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import comb

import numpy as np


def fewest(is_enough: Callable[[int], bool], grid: Sequence[int], start: int) -> int | None:
    """Return the first value of an ascending grid that is enough, None if not even the last one is.

    What is more than enough is taken to be enough, too. Steps away from ``start``, a position in the grid, double until
    the answer lies between two of them; bisection finds it.
    """
    low, high, step = -1, len(grid), 1  # grid[low] is too few, grid[high] enough
    place = min(max(start, 0), len(grid) - 1)
    while high - low > 1:
        if is_enough(grid[place]):
            high = place
        else:
            low = place
        if high == len(grid):
            place = min(place + step, high - 1)
        elif low < 0:
            place = max(place - step, 0)
        else:
            place = (low + high) // 2
        step *= 2
    return grid[high] if high < len(grid) else None


@dataclass(frozen=True)
class Slope:
    """A line through logarithms.

    Attributes
    ----------
    value : float
    standard_error : float or None
        None for fewer than three points.
    """

    value: float
    standard_error: float | None

    def to_dict(self) -> dict:
        return asdict(self)


def slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Return the slope of the least-squares line of y over x, which has at least two distinct values."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    centred = x - x.mean()
    value = float(centred @ y / (centred @ centred))
    if len(x) < 3:
        return Slope(value, None)
    residual = y - y.mean() - value * centred
    return Slope(value, float(np.sqrt(residual @ residual / (len(x) - 2) / (centred @ centred))))


def n_monomials(n_variables: int, degree: int) -> int:
    """Return how many multilinear monomials of at most this degree there are: what low-degree features span."""
    return sum(comb(n_variables, k) for k in range(degree + 1))
