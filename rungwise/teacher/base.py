"""What all teachers share: from the values of their neurons to hints.

Paper, "brain dump": a teacher computes with layers of neurons that it is only partly aware of, and reveals random
majorities of a few of them.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from rungwise._random import RandomState, spawn_generators
from rungwise._validation import check_fraction, check_share, check_whole
from rungwise.teacher.hints import Hints, draw_votes, vote


class Teacher(ABC):
    """Layers of boolean neurons, and outputs.

    A subclass computes them; hints follow.
    """

    @abstractmethod
    def neurons(self, X: Any) -> list[np.ndarray]:
        """Return the values of each layer's neurons, lowest layer first: int8 ±1 of shape (n_samples, n_neurons)."""

    @abstractmethod
    def outputs(self, X: Any) -> np.ndarray:
        """Return the labels that the teacher is there to compute: int8 ±1 of shape (n_samples, n_outputs)."""

    def hints(
        self,
        X: Any,
        n_hints: int,
        k: int = 3,
        awareness: float = 1.0,
        noise: float = 0.0,
        coverage: float = 1.0,
        random_state: RandomState = None,
    ) -> Hints:
        """Reveal random majorities sign(<w, g>) of each layer g.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            Inputs of the teacher.
        n_hints : int, at least 1
            Number of hints of each layer.
        k : int, odd
            Number of neurons in a majority: w is uniform over the vectors of {-1, 0, 1} with exactly k nonzeros. In a
            layer with fewer neurons it is the largest odd number of them.
        awareness : float in (0, 1]
            Fraction of a layer's neurons that majorities are drawn from, at least one; which, is random.
        noise : float in [0, 1)
            Probability with which each value shown is flipped.
        coverage : float in (0, 1]
            Fraction of the rows on which a hint is shown, at least one row; which, is random, for each hint anew.
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None
            Seed, for reproducible results; a generator gives other hints at each call. The majorities do not depend
            on X, noise and coverage.

        Returns
        -------
        hints : Hints

        Raises
        ------
        ValueError
            If a parameter is out of its range, or the teacher refuses X.
        """
        n_hints, k = check_whole("n_hints", n_hints, 1), check_whole("k", k, 1)
        if k % 2 == 0:
            raise ValueError(f"k must be an odd number (an even number of votes can be tied), however: k={k}")
        awareness = check_share("awareness", awareness)
        noise = check_fraction("noise", noise)
        coverage = check_share("coverage", coverage)
        votes_rng, noise_rng, rows_rng = spawn_generators(random_state, 3)
        neurons = self.neurons(X)
        weights = tuple(draw_votes(n_hints, layer.shape[1], k, awareness, votes_rng) for layer in neurons)
        Y = vote(neurons, weights)
        for start in range(0, Y.shape[1], n_hints):
            shown = Y[:, start : start + n_hints]  # a view: a layer at a time keeps the random numbers few
            if noise > 0:
                shown[noise_rng.random(shown.shape) < noise] *= -1
            if coverage < 1:
                shown[~_covered_rows(len(shown), n_hints, coverage, rows_rng)] = np.nan
        return Hints(Y, np.repeat(np.arange(1, len(neurons) + 1), n_hints), weights, self)


def _covered_rows(n_samples: int, n_hints: int, coverage: float, rng: np.random.Generator) -> np.ndarray:
    """Return which rows each hint is shown on, (n_samples, n_hints) of bool, with equally many in each column."""
    first = np.arange(n_samples) < max(1, round(coverage * n_samples))
    return rng.permuted(np.repeat(first[:, None], n_hints, axis=1), axis=0)
