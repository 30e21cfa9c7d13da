"""What a peer is given and what it gives back. Labels of test rows are not among it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks._scores import NOT_PREDICTED
from rungwise import Neighborhood


@dataclass(frozen=True)
class Problem:
    """A task as peers see it.

    Attributes
    ----------
    X : ndarray of shape (n, d), or (n, n_positions, d)
    Y : float ndarray of shape (n, L), or (n, n_positions, L)
        {0, 1}; NaN where a label is not annotated.
    X_tests : list of ndarray
    n_levels : int
        The true depth: peers are told it.
    deepest : ndarray of int
        The labels of the deepest level.
    neighborhood : Neighborhood or None
    budget : float
        Seconds. A peer that searches for settings may take twice as long in all.
    seed : int
    quick : bool
        Whether this only shows that everything works: peers are then small, and no setting is searched for.
    """

    X: np.ndarray
    Y: np.ndarray
    X_tests: list[np.ndarray]
    n_levels: int
    deepest: np.ndarray
    neighborhood: Neighborhood | None
    budget: float
    seed: int
    quick: bool

    @property
    def limit(self) -> float:
        """Seconds after which a peer is ended; ample with ``quick``, as starting its process again takes longer."""
        return 30.0 if self.quick else 2 * self.budget


@dataclass(frozen=True)
class Answer:
    """Predictions of a peer for every set of test rows, {0, 1} or `NOT_PREDICTED`, and how it came by them."""

    predictions: list[np.ndarray]
    note: str


Answers = Iterator[Answer]


@dataclass(frozen=True)
class FlatProblem:
    """A problem for learners of plain rows: split, without NaN, and without labels that never change.

    Attributes
    ----------
    X, Y : ndarray of shape (n, d) and (n, L')
        Training rows. A cell of a ring becomes a row, of which the features are the cells around it, as many as there
        are on the rings of training.
    valid : ndarray of bool, shape (n,)
        A tenth of the rows, on which settings are chosen.
    tests : list of ndarray of shape (n_test, d)
    note : str
        What was done about missing labels.
    problem : Problem
    varying : ndarray of bool, shape (L,)
        The labels that are left in Y.
    constant : ndarray of bool, shape (L,)
        The commoner value of every label: the prediction for those that are not left.
    """

    X: np.ndarray
    Y: np.ndarray
    valid: np.ndarray
    tests: list[np.ndarray]
    note: str
    problem: Problem
    varying: np.ndarray
    constant: np.ndarray

    def answer(self, predictions: list[np.ndarray], note: str) -> Answer:
        """Return the answer: predictions, (n_test, L') each, with the constant labels and in the task's shape."""
        whole = []
        for X, predicted in zip(self.problem.X_tests, predictions, strict=True):
            filled = np.tile(self.constant.astype(np.int8), (len(predicted), 1))
            filled[:, self.varying] = predicted
            whole.append(filled.reshape(*X.shape[:-1], -1))
        return Answer(whole, "; ".join(filter(None, (note, self.note))))


def flatten(problem: Problem) -> FlatProblem:
    """Return a problem as plain rows."""
    X, tests = problem.X, problem.X_tests
    if problem.neighborhood is not None:
        size = X.shape[1]
        X, tests = windows(X, size), [windows(test, size) for test in tests]
    Y, note = problem.Y.reshape(-1, problem.Y.shape[-1]), ""
    complete = ~np.isnan(Y).any(axis=1)
    if not complete.all():
        if complete.mean() >= 0.5:
            X, Y, note = X[complete], Y[complete], f"{complete.sum():,} complete rows"
        else:
            Y = np.where(np.isnan(Y), np.nanmean(Y, axis=0) > 0.5, Y)
            note = "missing labels set to the label's majority"
    valid = validation_rows(len(X), problem.seed)
    # In the part that settings are chosen on, too: learners of one label refuse a single class.
    varying = np.ptp(Y[~valid], axis=0) > 0
    return FlatProblem(X, Y[:, varying].astype(np.int8), valid, tests, note, problem, varying, np.median(Y, axis=0) > 0)


def validation_rows(n: int, seed: int) -> np.ndarray:
    """Return which rows are held out for choosing settings, a tenth of them and at least one, (n,) bool."""
    held_out = np.zeros(n, dtype=bool)
    held_out[np.random.default_rng([seed, 3]).permutation(n)[: max(1, n // 10)]] = True
    return held_out


def not_predicted(shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, NOT_PREDICTED, dtype=np.int8)


def windows(X: np.ndarray, size: int) -> np.ndarray:
    """Return for every cell of rings, (n, n_positions, d), the cells around it, (n · n_positions, size · d)."""
    n, n_positions, _ = X.shape
    seen = (np.arange(n_positions)[:, None] + np.arange(size) - size // 2) % n_positions
    return X[:, seen].reshape(n * n_positions, -1)
