"""Hints of a teacher that is only partly aware of its own neurons: majorities of a few, and what they tell of each.

Paper, "brain dump": a layer of d neurons g in {-1, 1}^d is revealed by labels ℓ = sign(<w, g>), w uniform over the
vectors of {-1, 0, 1}^d with exactly k nonzeros, k odd. Then E_w[w_l ℓ] = α_{d,k} g_l, so that averages of w_l ℓ / α
over many hints give every neuron back.
"""

from math import ceil, comb, log

import numpy as np

from rungwise._validation import check_fraction, check_whole, is_number


def hint_correlation(d: int, k: int) -> float:
    """Return α_{d,k} = E_w[w_l sign(<w, g>)] g_l, the correlation of a hint with each (signed) neuron of its layer.

    w_l g_l is nonzero with probability k / d, and then ±1 by a fair coin, as are the other k - 1 votes. Neuron l turns
    the majority its way only where they are tied, which has the probability C(k-1, (k-1)/2) / 2^(k-1); where they are
    not, w_l ℓ is as often +1 as -1.

    Parameters
    ----------
    d : int, at least k
        Number of neurons of the layer.
    k : int, odd
        Number of neurons in a majority.

    Returns
    -------
    alpha : float in (0, 1]
        (k / d) C(k-1, (k-1)/2) / 2^(k-1), about sqrt(2 k / π) / d.

    Raises
    ------
    ValueError
        If k is not an odd number from 1 to d.

    Examples
    --------
    >>> hint_correlation(24, 3), hint_correlation(24, 1) == 1 / 24
    (0.0625, True)
    """
    d, k = check_majority(d, k)
    return k / d * comb(k - 1, (k - 1) // 2) / 2 ** (k - 1)


def draw_hint_weights(n_hints: int, d: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the votes of random majorities: uniform over {-1, 0, 1}^d with exactly k nonzeros.

    Parameters
    ----------
    n_hints : int, at least 0
        Number of majorities.
    d, k : int
        As in ``hint_correlation``.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    weights : int8 array of shape (n_hints, d), of {-1, 0, 1}

    Raises
    ------
    ValueError
        If k is not an odd number from 1 to d, or ``n_hints`` is negative.

    Examples
    --------
    >>> abs(draw_hint_weights(4, 7, 3, np.random.default_rng(0))).sum(axis=1).tolist()
    [3, 3, 3, 3]
    """
    n_hints = check_whole("n_hints", n_hints, 0)
    d, k = check_majority(d, k)
    weights = np.zeros((n_hints, d), dtype=np.int8)
    weights[:, :k] = 2 * rng.integers(0, 2, size=(n_hints, k), dtype=np.int8) - 1
    return rng.permuted(weights, axis=1)


def majority_hints(neurons: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the hints sign(<w, g>) of a layer.

    Parameters
    ----------
    neurons : array of shape (n_samples, d), of ±1
        The layer's values.
    weights : array of shape (n_hints, d), of {-1, 0, 1}
        An odd number of nonzeros in each row, so that no vote is tied.

    Returns
    -------
    hints : int8 array of shape (n_samples, n_hints), of ±1

    Raises
    ------
    ValueError
        If shapes disagree, or a row of the weights has an even number of nonzeros.

    Examples
    --------
    >>> majority_hints(np.array([[1, -1, 1], [-1, -1, 1]]), np.array([[1, 1, 1], [0, -1, 0]])).tolist()
    [[1, 1], [-1, 1]]
    """
    neurons, weights = np.asarray(neurons), _check_weights(weights)
    if neurons.ndim != 2 or neurons.shape[1] != weights.shape[1]:
        raise ValueError(
            f"neurons must be of shape (n_samples, {weights.shape[1]}), a column for each of the weights, however: "
            f"neurons.shape={neurons.shape}"
        )
    # Sums of small whole numbers are exact in float32, where the product is fast.
    votes = neurons.astype(np.float32) @ weights.T.astype(np.float32)
    return np.where(votes > 0, 1, -1).astype(np.int8)


def reconstruct_neurons(hints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Estimate every neuron of a layer from its hints: ĝ_l = (1/q) Σ_i w_il ℓ_i / α over q hints.

    Unbiased over the draw of the weights, for every input, with the variance ((k/d) / α² - 1) / q.

    Parameters
    ----------
    hints : array of shape (n_samples, n_hints), of ±1
        At least one hint.
    weights : array of shape (n_hints, d), of {-1, 0, 1}
        Their votes, with the same odd number k of nonzeros in each row.

    Returns
    -------
    estimates : float array of shape (n_samples, d)
        Within O(1 / (α sqrt(q))) of the neurons; see ``n_hints_that_suffice``.

    Raises
    ------
    ValueError
        If shapes disagree, there is no hint, or the rows have different or even numbers of nonzeros.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> neurons = np.array([[1, -1, -1, 1, 1]])
    >>> weights = draw_hint_weights(1000, 5, 3, rng)
    >>> np.sign(reconstruct_neurons(majority_hints(neurons, weights), weights)).tolist()
    [[1.0, -1.0, -1.0, 1.0, 1.0]]
    """
    hints, weights = np.asarray(hints), _check_weights(weights)
    n_hints, d = weights.shape
    if n_hints == 0 or hints.ndim != 2 or hints.shape[1] != n_hints:
        raise ValueError(
            f"hints must be of shape (n_samples, {n_hints}), a column for each row of the weights and at least one, "
            f"however: hints.shape={hints.shape}"
        )
    n_votes = np.unique(np.count_nonzero(weights, axis=1)).tolist()
    if len(n_votes) > 1:
        raise ValueError(f"weights must have equally many nonzeros in each row, however: they have {n_votes}")
    return hints.astype(np.float64) @ weights / (n_hints * hint_correlation(d, n_votes[0]))


def n_hints_that_suffice(d: int, k: int, n_inputs: int, error: float, failure_probability: float) -> int:
    """Return how many random hints of a layer give all its neurons back on given inputs, with high probability.

    By Bernstein's inequality. For one neuron and one input let Z_i = g_l w_il ℓ_i / α, so that E Z_i = 1. It is ±1/α
    with probability k/d and else 0: the variance is v = (k/d) / α² - 1, and |Z_i - 1| <= b = 1/α + 1. The mean of q
    independent ones therefore satisfies

        P(|mean - 1| > ε) <= 2 exp(-q ε² / (2 (v + b ε / 3))),

    and by a union bound over d neurons and n inputs it suffices that q >= 2 (v + b ε / 3) / ε² · ln(2 n d / δ). As v is
    about π d / 2, for every k, and b about d sqrt(π / (2 k)), this is of order d ln(n d / δ) / ε² for ε up to 1.
    Hoeffding's inequality, which does not know that most w_il are 0, would ask for d² / k instead of d.

    Parameters
    ----------
    d, k : int
        As in ``hint_correlation``.
    n_inputs : int, at least 1
        Number n of inputs, chosen before the hints are drawn; 2^n_bits for all of them.
    error : float, positive
        ε, the largest |ĝ_l - g_l| that is allowed; below 1 every neuron's sign is right.
    failure_probability : float in (0, 1)
        δ, the probability over the hints that some neuron is further off on some input.

    Returns
    -------
    n_hints : int

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> [n_hints_that_suffice(d, 3, 1000, error=0.5, failure_probability=0.01) for d in (12, 24, 48)]
    [1940, 4164, 8811]
    """
    alpha = hint_correlation(d, k)
    n_inputs = check_whole("n_inputs", n_inputs, 1)
    if not is_number(error) or error <= 0:
        raise ValueError(f"error must be a positive number, however: error={error!r}")
    if check_fraction("failure_probability", failure_probability) == 0:
        raise ValueError("failure_probability must be positive, however: failure_probability=0")
    variance, bound = k / d / alpha**2 - 1, 1 / alpha + 1
    return ceil(2 * (variance + bound * error / 3) / error**2 * log(2 * n_inputs * d / failure_probability))


def check_majority(d: int, k: int) -> tuple[int, int]:
    """Return d and k as ints, or raise a ValueError if k of d neurons have no majority."""
    d, k = check_whole("d", d, 1), check_whole("k", k, 1)
    if k > d or k % 2 == 0:
        raise ValueError(
            f"k must be an odd number (an even number of votes can be tied) of at most d, the number of neurons, "
            f"however: k={k}, d={d}"
        )
    return d, k


def _check_weights(weights: np.ndarray) -> np.ndarray:
    weights = np.asarray(weights)
    if weights.ndim != 2 or not np.isin(weights, (-1, 0, 1)).all():
        raise ValueError(
            f"weights must be of shape (n_hints, d), of -1, 0 and 1, however: weights.shape={weights.shape}, values "
            f"{np.unique(weights)[:5].tolist()}"
        )
    tied = np.flatnonzero(np.count_nonzero(weights, axis=1) % 2 == 0)
    if len(tied):
        raise ValueError(
            "weights must have an odd number of nonzeros in each row (an even number of votes can be tied), however: "
            f"weights[{tied[0]}]={weights[tied[0]].tolist()}"
        )
    return weights
