"""Assign training rows to units and folds by what they contain, not by where they stand.

A row's unit and fold follow from a hash of its content and the seed: copies of a row stay together, the order of rows
does not matter, and a row of weight 2 is the same as the row twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Grouping:
    """How the training rows, sorted by fold, belong together.

    Attributes
    ----------
    folds : sequence of slice
        Each fold is a run of rows; together they cover all rows.
    unit : Tensor of shape (n,), int64
        Rows of one number are copies, or of one group; they are in one fold, and are drawn together.
    content : Tensor of shape (n,), int64
        Rows of one number are copies.
    """

    folds: Sequence[slice]
    unit: Tensor
    content: Tensor

    @classmethod
    def apart(cls, folds: Sequence[slice]) -> "Grouping":
        """Return that every row stands alone."""
        everything = torch.arange(folds[-1].stop)
        return cls(folds, everything, everything)

    def to(self, device: torch.device) -> "Grouping":
        """Return the same on another device."""
        return Grouping(self.folds, self.unit.to(device), self.content.to(device))

    @property
    def fold(self) -> Tensor:
        """The fold of each row, int64 (n,)."""
        lengths = torch.tensor([rows.stop - rows.start for rows in self.folds], device=self.unit.device)
        return torch.arange(len(self.folds), device=self.unit.device).repeat_interleave(lengths)

    def copies(self) -> tuple[Tensor, Tensor]:
        """Return the first row of each content, (n_contents,), in order, and the place there of each row, (n,)."""
        _, place = torch.unique(self.content, return_inverse=True)
        n_contents = int(place.max()) + 1
        rows = torch.arange(len(place), device=place.device)
        first = torch.full((n_contents,), len(place), device=place.device).scatter_reduce(0, place, rows, "amin")
        order = first.argsort()
        return first[order], order.argsort()[place]


def find_units(X: np.ndarray, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return the number of the unit of each row, integers (n,): copies of a row, or rows of one group, are one unit.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Row contents; NaN allowed.
    seed : int
        The numbers follow from a hash of the content and the seed.
    groups : ndarray of shape (n,), optional
        Rows of one group (a subject, a site) are one unit.

    Raises
    ------
    ValueError
        If there are fewer than two units.
    """
    if groups is not None:
        # Factorised, so that labels of any type serve; their order does not depend on the order of rows.
        X = np.unique(groups, return_inverse=True)[1].reshape(-1, 1).astype(float)
    hashes = hash_rows(np.asarray(X, dtype=np.float64), seed)
    distinct, unit = np.unique(hashes, return_inverse=True)
    if len(distinct) < 2:
        what = "groups" if groups is not None else "rows"
        raise ValueError(
            f"honest estimates need at least 2 distinct {what}, however: {len(distinct)}; add training examples"
        )
    return unit


def assign_folds(units: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row, integers (n,) from 0 to the smaller of ``n_folds`` and the number of units.

    Dealing the numbered units out in turn keeps folds equally large.
    """
    return units % min(n_folds, int(units.max()) + 1)


def fold_slices(fold: np.ndarray, n_positions: int = 1) -> list[slice]:
    """Return the run of rows that each fold is once examples, of so many rows each, are sorted by fold."""
    ends = n_positions * np.cumsum(np.bincount(fold))
    return [slice(int(start), int(end)) for start, end in pairwise([0, *ends])]


def hash_rows(X: np.ndarray, seed: int) -> np.ndarray:
    """Return a 64-bit hash of each row of X, (n, d) float64; equal rows have equal ones, whatever their order."""
    # -0.0 becomes 0.0, and every NaN the same one.
    bits = np.where(np.isnan(X), np.nan, X + 0.0).view(np.uint64)
    keys = np.random.default_rng(seed).integers(2**64, size=(X.shape[1],), dtype=np.uint64)
    return _mix(_mix(bits ^ keys).sum(axis=1, dtype=np.uint64))


def _mix(bits: np.ndarray) -> np.ndarray:
    """Return bits scrambled by the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
