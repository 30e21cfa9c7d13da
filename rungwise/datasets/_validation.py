"""Checks and random bits that the dataset generators share."""

import numpy as np

from rungwise._random import RandomState as RandomState
from rungwise._random import spawn_generators as spawn_generators
from rungwise._validation import check_whole as check_whole


def uniform_bits(rng: np.random.Generator, n_samples: int, n_inputs: int) -> np.ndarray:
    """Return uniformly random inputs ±1, float32 of shape (n_samples, n_inputs)."""
    bits = rng.integers(0, 2, size=(n_samples, n_inputs), dtype=np.int8)
    return (2 * bits - 1).astype(np.float32)


def as_indicators(labels: np.ndarray) -> np.ndarray:
    """Return labels ±1 as int8 indicators: 0 for -1 (false), 1 for +1 (true)."""
    return (labels > 0).astype(np.int8)
