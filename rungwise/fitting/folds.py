"""Assign training rows to units and folds by what they contain, not by where they stand.

A row's unit and fold follow from a hash of its content and the seed: copies of a row stay together, the order of rows
does not matter, and a row of weight 2 is the same as the row twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

# Entries hashed at once: the hash of a large table should not need copies of all of it.
_CHUNK = 2**20


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

    def halves(self) -> list[int]:
        """Return for each fold the half of the folds that it is in, 0 or 1: they share what is fitted to the others."""
        n_folds = len(self.folds)
        return [2 * fold // n_folds for fold in range(n_folds)]

    def copies(self) -> tuple[Tensor, Tensor]:
        """Return the first row of each content in each fold, (n_distinct,), in order, and the place of each row, (n,).

        Copies in other folds, which groups may tear apart, are not merged: a fold's labels would speak about itself.
        """
        _, place = torch.unique(self.content * len(self.folds) + self.fold, return_inverse=True)
        n_distinct = int(place.max()) + 1
        rows = torch.arange(len(place), device=place.device)
        first = torch.full((n_distinct,), len(place), device=place.device).scatter_reduce(0, place, rows, "amin")
        order = first.argsort()
        return first[order], order.argsort()[place]


def find_units(X: Any, seed: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return the number of the unit of each row, integers (n,): copies of a row, or rows of one group, are one unit.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n, d)
        Row contents; NaN allowed, and a CSR array must not store a column twice.
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
    hashes = hash_rows(X if scipy.sparse.issparse(X) else np.asarray(X, dtype=np.float64), seed)
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


def evenly_spaced(n: int, most: int) -> Tensor:
    """Return at most so many of n, at equal distances: of rows sorted by fold, about as many of each."""
    return torch.linspace(0, n - 1, min(n, most), dtype=torch.double).round().long()


def fold_slices(fold: np.ndarray, n_positions: int = 1) -> list[slice]:
    """Return the run of rows that each fold is once examples, of so many rows each, are sorted by fold."""
    ends = n_positions * np.cumsum(np.bincount(fold))
    return [slice(int(start), int(end)) for start, end in pairwise([0, *ends])]


def sort_into_folds(
    matrix: Any, targets: np.ndarray, n_positions: int, n_folds: int, seed: int, groups: np.ndarray | None
) -> tuple[np.ndarray, Grouping]:
    """Return an order of the rows in which each fold is a run of them, and how the sorted rows belong together.

    Rows are sorted by fold and content, so that fits do not depend on the order in which they are given; the
    positions of an example stay together.
    """
    examples = matrix if n_positions == 1 else matrix.reshape(len(matrix) // n_positions, -1)
    groups = None if groups is None else np.asarray(groups)[::n_positions]
    unit = find_units(examples, seed, groups)
    fold = assign_folds(unit, n_folds)
    labels = targets.reshape(len(unit), -1)
    order = np.lexsort([hash_rows(labels, seed), hash_rows(examples, seed), fold])
    folds = fold_slices(fold, n_positions)
    rows = n_positions * order[:, None] + np.arange(n_positions)
    content = unit if groups is None else find_units(examples, seed)
    # With positions, the rows of an example are one unit but no copies of each other.
    content = n_positions * content[order][:, None] + np.arange(n_positions)
    return rows.ravel(), Grouping(
        folds, torch.from_numpy(np.repeat(unit[order], n_positions)), torch.from_numpy(content.ravel())
    )


def hash_rows(X: Any, seed: int) -> np.ndarray:
    """Return a 64-bit hash of each row, uint64 (n,); equal rows have equal ones, whatever their order.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n, d), float64
        NaN allowed. A row has the same hash, sparse or dense; a sparse one must not store a column twice.
    seed : int
    """
    keys = np.random.default_rng(seed).integers(2**64, size=(X.shape[1],), dtype=np.uint64)
    if scipy.sparse.issparse(X):
        of_zeros = _mix(keys)
        changes = _mix(_bits(X.data) ^ keys[X.indices]) - of_zeros[X.indices]
        total = np.concatenate([[np.uint64(0)], changes.cumsum(dtype=np.uint64)])
        return _mix(of_zeros.sum(dtype=np.uint64) + (total[X.indptr[1:]] - total[X.indptr[:-1]]))
    hashes = np.empty(len(X), dtype=np.uint64)
    n_rows = max(1, _CHUNK // max(1, X.shape[1]))
    for rows in (slice(start, start + n_rows) for start in range(0, len(X), n_rows)):
        hashes[rows] = _mix(_mix(_bits(X[rows]) ^ keys).sum(axis=1, dtype=np.uint64))
    return hashes


def _bits(values: np.ndarray) -> np.ndarray:
    """Return the bits of float64 numbers; -0.0 has those of 0.0, and every NaN the same ones."""
    return np.where(np.isnan(values), np.nan, values + 0.0).view(np.uint64)


def _mix(bits: np.ndarray) -> np.ndarray:
    """Return bits scrambled by the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
