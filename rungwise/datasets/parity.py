"""Parities, with the parities of their prefixes as stepping stones.

A parity of n bits is uncorrelated with every function of fewer of them: nothing short of all n helps, and learners that
go by correlations need about 2^n steps. From the parity of one bit less it is a gate of two inputs.
"""

import numpy as np

from rungwise.datasets._logic import parity_polynomial
from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators, uniform_bits
from rungwise.theory.boolean import parity
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction
from rungwise.theory.ptf import PolynomialThreshold


def make_parity(
    n_samples: int = 1000,
    n_bits: int = 10,
    prefixes: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make the parity (exclusive or) of random bits, and of each prefix of them.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_bits : int, at least 2
        Number of input bits.
    prefixes : bool
        True gives the parities of the first 2, 3, …, n_bits bits, each a gate of the one before and the next bit; False
        gives the last of them only, a function of all bits at once.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_bits), of ±1
        Uniformly random bits, +1 = true.
    Y : int8 array of shape (n_samples, n_bits - 1), or (n_samples, 1) without prefixes, of {0, 1}
        1 where an odd number of the bits is true. ``model(X)`` gives the same as ±1.
    model : HierarchicalModel
        The truth: n_bits - 1 levels of one label each, or one level without prefixes.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> X, Y, model = make_parity(n_samples=4, n_bits=4, random_state=0)
    >>> model.label_names, model.level.tolist()
    (['parity_of_first_2', 'parity_of_first_3', 'parity_of_first_4'], [1, 2, 3])
    >>> bool((Y[:, -1] == (X > 0).sum(axis=1) % 2).all())
    True
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    n_bits = check_whole("n_bits", n_bits, 2)
    functions = _prefix_functions(n_bits) if prefixes else [_whole_function(n_bits)]
    model = HierarchicalModel(n_bits, functions)
    (rng,) = spawn_generators(random_state, 1)
    X = uniform_bits(rng, n_samples, n_bits)
    return X, as_indicators(model(X)), model


def _prefix_functions(n_bits: int) -> list[LabelFunction]:
    # Label j is the parity of the first j + 2 bits; the label before it is entry n_bits + j - 1 of the stream.
    return [
        LabelFunction(
            name=f"parity_of_first_{j + 2}",
            parents=(0, 1) if j == 0 else (n_bits + j - 1, j + 1),
            function=parity(2),
            kind="parity",
        )
        for j in range(n_bits - 1)
    ]


def _whole_function(n_bits: int) -> LabelFunction:
    # As one monomial, not a table of 2^n entries.
    return LabelFunction(
        name=f"parity_of_first_{n_bits}",
        parents=tuple(range(n_bits)),
        function=PolynomialThreshold(parity_polynomial(n_bits)),
        kind="parity",
    )
