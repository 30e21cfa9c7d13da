"""Hints: what a teacher reveals of its neurons on some rows, with the ground truth by which a student can be scored."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rungwise.theory.brain_dump import draw_hint_weights, majority_hints

if TYPE_CHECKING:
    from rungwise.teacher.base import Teacher


@dataclass(frozen=True, eq=False)
class Hints:
    """Majorities of a teacher's neurons; `Teacher.hints` makes them. A student is shown Y and nothing else.

    Attributes
    ----------
    Y : float32 array of shape (n_samples, n_hints), of -1, 1 and NaN
        The hints, layer by layer, NaN where one is not shown: labels for `RungwiseClassifier.fit`.
    layer : int array of shape (n_hints,)
        The layer, from 1, whose neurons each hint is a majority of. For scoring only.
    weights : tuple of int8 array of shape (n_hints_of_layer, n_neurons), of {-1, 0, 1}
        For each layer, lowest first, which neurons each of its hints reads, and with what sign. For scoring only.
    teacher : Teacher
        Whose hints they are.
    """

    Y: np.ndarray
    layer: np.ndarray
    weights: tuple[np.ndarray, ...]
    teacher: "Teacher"

    @property
    def names(self) -> list[str]:
        """Names of the hints: hint_2_17 is number 17, from 0, of layer 2."""
        return [f"hint_{t}_{j}" for t, votes in enumerate(self.weights, start=1) for j in range(len(votes))]

    def on(self, X: Any) -> np.ndarray:
        """Return the same majorities of other rows, without noise or gaps.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            Inputs of the teacher.

        Returns
        -------
        Y : float32 array of shape (n_samples, n_hints), of ±1

        Raises
        ------
        ValueError
            If the teacher refuses X.
        """
        return vote(self.teacher.neurons(X), self.weights)


def vote(neurons: list[np.ndarray], weights: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return the hints of all layers side by side, float32 ±1 of shape (n_samples, n_hints)."""
    n_samples, n_hints = len(neurons[0]), sum(len(votes) for votes in weights)
    # Filled layer by layer: thousands of hints of many rows are large, and there should be no second copy of them.
    hints, start = np.empty((n_samples, n_hints), dtype=np.float32), 0
    for layer, votes in zip(neurons, weights, strict=True):
        hints[:, start : start + len(votes)] = majority_hints(layer, votes)
        start += len(votes)
    return hints


def draw_votes(n_hints: int, n_neurons: int, k: int, awareness: float, rng: np.random.Generator) -> np.ndarray:
    """Draw majorities of k of those neurons of a layer that the teacher is aware of.

    A layer too narrow for k votes has majorities of the largest odd number that it has room for: the last level of a
    netlist often is a single gate.

    Parameters
    ----------
    n_hints : int, at least 0
        Number of majorities.
    n_neurons : int, at least 1
        Width of the layer.
    k : int, odd
        Number of votes.
    awareness : float in (0, 1]
        Fraction of the neurons that may vote, at least one.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    weights : int8 array of shape (n_hints, n_neurons), of {-1, 0, 1}

    Examples
    --------
    >>> votes = draw_votes(100, 10, k=3, awareness=0.5, rng=np.random.default_rng(0))
    >>> int(votes.any(axis=0).sum())
    5
    """
    n_aware = max(1, round(awareness * n_neurons))
    aware = rng.choice(n_neurons, size=n_aware, replace=False)
    weights = np.zeros((n_hints, n_neurons), dtype=np.int8)
    weights[:, aware] = draw_hint_weights(n_hints, n_aware, min(k, n_aware - 1 + n_aware % 2), rng)
    return weights
