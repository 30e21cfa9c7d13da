"""The staircase function of Abbe, Boix-Adsera, Brennan, Bresler and Nagaraj, arXiv 2108.10573.

S_k(x) = x_1 + x_1 x_2 + x_1 x_2 x_3 + … + x_1 x_2 … x_k: each monomial extends the one before by one input, so that the
high-degree ones can be reached one step at a time. Here it is a label, sign(S_k), and the steps may be labels too.
"""

import numpy as np

from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators, uniform_bits
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold


def make_staircase(
    n_samples: int = 1000,
    n_inputs: int = 20,
    degree: int = 7,
    prefixes: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make the sign of a staircase over a hidden ordering of some of the inputs, with its steps as labels.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_inputs : int, at least ``degree``
        Number of input bits; those that the staircase does not climb are noise.
    degree : int, odd, at least 3
        Number of monomials, and the degree of the last; odd, so that their sum is never 0.
    prefixes : bool
        Whether the monomials of degree 2, …, ``degree`` are labels too (the first one is an input).
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_inputs), of ±1
        Uniformly random bits.
    Y : int8 array of shape (n_samples, degree), or (n_samples, 1) without prefixes, of {0, 1}
        The monomials, 1 where the product is +1, then the staircase, 1 where the sum is positive. ``model(X)`` gives
        the same as ±1.
    model : HierarchicalModel
        The truth: ``degree`` levels of one label each, or one level without prefixes. The parents of the first
        label and the second parents of the others are the hidden ordering.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or ``degree`` is even.

    Examples
    --------
    >>> X, Y, model = make_staircase(n_samples=100, n_inputs=10, degree=5, random_state=0)
    >>> model.label_names
    ['monomial_2', 'monomial_3', 'monomial_4', 'monomial_5', 'staircase_5']
    >>> model.level.tolist()
    [1, 2, 3, 4, 5]
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    degree = check_whole("degree", degree, 3)
    if degree % 2 == 0:
        raise ValueError(
            f"degree must be an odd number, however: degree={degree} (the sum of an even number of ±1 terms can be 0)"
        )
    n_inputs = check_whole("n_inputs", n_inputs, 1)
    if n_inputs < degree:
        raise ValueError(f"n_inputs must be at least degree={degree}, however: n_inputs={n_inputs}")

    order_rng, rows_rng = spawn_generators(random_state, 2)
    climbed = order_rng.permutation(n_inputs)[:degree].tolist()
    functions = _steps_and_sum(climbed, n_inputs) if prefixes else [_whole(climbed)]
    model = HierarchicalModel(n_inputs, functions)
    X = uniform_bits(rows_rng, n_samples, n_inputs)
    return X, as_indicators(model(X)), model


def _steps_and_sum(climbed: list[int], n_inputs: int) -> list[LabelFunction]:
    degree = len(climbed)
    product = PolynomialThreshold(Polynomial(np.ones((1, 2), dtype=int), np.ones(1)))
    # steps[k] is where the monomial of degree k + 1 stands in the stream.
    steps = [climbed[0], *range(n_inputs, n_inputs + degree - 1)]
    functions = [
        LabelFunction(f"monomial_{k + 1}", (steps[k - 1], climbed[k]), product, kind="product")
        for k in range(1, degree)
    ]
    total = PolynomialThreshold(Polynomial(np.eye(degree, dtype=int), np.ones(degree)))
    return [*functions, LabelFunction(f"staircase_{degree}", tuple(steps), total, kind="majority")]


def _whole(climbed: list[int]) -> LabelFunction:
    degree = len(climbed)
    staircase = Polynomial(np.tril(np.ones((degree, degree), dtype=int)), np.ones(degree))
    return LabelFunction(f"staircase_{degree}", tuple(climbed), PolynomialThreshold(staircase), kind="staircase")
