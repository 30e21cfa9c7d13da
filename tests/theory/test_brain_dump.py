from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chisquare

from rungwise.theory.boolean import hypercube, look_up, majority
from rungwise.theory.brain_dump import (
    draw_hint_weights,
    hint_correlation,
    majority_hints,
    n_hints_that_suffice,
    reconstruct_neurons,
)

SHAPES = [(1, 1), (4, 1), (4, 3), (6, 5), (7, 7)]


def all_weights(d, k):
    """Return every vector of {-1, 0, 1}^d with k nonzeros."""
    vectors = np.array(list(product((-1, 0, 1), repeat=d)))
    return vectors[np.count_nonzero(vectors, axis=1) == k]


def random_neurons(n_samples, d, rng):
    return rng.choice([-1, 1], size=(n_samples, d))


def tail_of_reconstruction(d, k, q, error):
    """P(|ĝ - g| > error) of one neuron on one input, exactly: how many hints read it, and how many of those agree."""
    alpha = hint_correlation(d, k)
    agrees = (1 + alpha * d / k) / 2
    readers = np.arange(q + 1)
    # The mean is (agreeing - disagreeing) / (q alpha), with agreeing + disagreeing = readers.
    low, high = (q * alpha * (1 + sign * error) for sign in (-1, 1))
    below = binom.cdf(np.ceil((readers + low) / 2) - 1, readers, agrees)
    above = binom.sf(np.floor((readers + high) / 2), readers, agrees)
    return float(binom.pmf(readers, q, k / d) @ (below + above))


@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_all_hints_together_correlate_with_a_neuron_by_alpha(d, k):
    weights, neurons = all_weights(d, k), hypercube(d)
    hints = majority_hints(neurons, weights)
    np.testing.assert_allclose(hints @ weights.astype(float) / len(weights), hint_correlation(d, k) * neurons)
    np.testing.assert_allclose(reconstruct_neurons(hints, weights), neurons)


@pytest.mark.parametrize(("d", "k"), [(9, 5), (24, 3)])
def test_alpha_is_what_a_million_random_hints_show(d, k):
    rng = np.random.default_rng(0)
    neurons = random_neurons(1, d, rng)
    weights = draw_hint_weights(10**6, d, k, rng)
    correlations = majority_hints(neurons, weights).astype(float) @ weights / len(weights) * neurons
    # The mean over neurons, as each alone has a standard error of up to 0.6 %.
    assert correlations.mean() == pytest.approx(hint_correlation(d, k), rel=0.01)


def test_every_vector_of_weights_is_equally_likely():
    possible = all_weights(5, 3)
    weights = draw_hint_weights(80_000, 5, 3, np.random.default_rng(0))
    found, counts = np.unique(weights, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, np.unique(possible, axis=0))
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("k", [1, 3, 5])
def test_hint_is_the_majority_of_signed_neurons(k):
    rng = np.random.default_rng(k)
    neurons, weights = random_neurons(50, 8, rng), draw_hint_weights(30, 8, k, rng)
    hints = majority_hints(neurons, weights)
    for column, votes in zip(hints.T, weights, strict=True):
        read = np.flatnonzero(votes)
        np.testing.assert_array_equal(column, look_up(majority(k), neurons[:, read] * votes[read]))


@given(st.integers(0, 2**32 - 1), st.sampled_from(SHAPES))
@settings(max_examples=30, deadline=None)
def test_names_and_signs_of_neurons_do_not_matter(seed, shape):
    d, k = shape
    rng = np.random.default_rng(seed)
    neurons, weights = random_neurons(5, d, rng), draw_hint_weights(7, d, k, rng)
    order, signs = rng.permutation(d), rng.choice([-1, 1], size=d)
    hints, estimates = majority_hints(neurons, weights), reconstruct_neurons(majority_hints(neurons, weights), weights)
    np.testing.assert_array_equal(majority_hints((neurons * signs)[:, order], (weights * signs)[:, order]), hints)
    np.testing.assert_array_equal(majority_hints(-neurons, weights), -hints)
    np.testing.assert_allclose(reconstruct_neurons(hints, (weights * signs)[:, order]), (estimates * signs)[:, order])


@pytest.mark.parametrize(("d", "k"), [(11, 3), (24, 5)])
def test_error_of_reconstruction_falls_with_the_root_of_the_number_of_hints(d, k):
    rng = np.random.default_rng(0)
    neurons = random_neurons(100, d, rng)
    counts, errors = np.array([100, 400, 1600, 6400, 25600]), []
    for q in counts:
        weights = [draw_hint_weights(q, d, k, rng) for _ in range(10)]
        estimates = np.array([reconstruct_neurons(majority_hints(neurons, w), w) for w in weights])
        errors.append(np.sqrt(((estimates - neurons) ** 2).mean()))
    slope, _ = np.polyfit(np.log(counts), np.log(errors), 1)
    assert slope == pytest.approx(-0.5, abs=0.05)
    variance = k / d / hint_correlation(d, k) ** 2 - 1
    np.testing.assert_allclose(errors, np.sqrt(variance / counts), rtol=0.1)


@pytest.mark.parametrize(("d", "k"), [(8, 3), (24, 3), (24, 7)])
@pytest.mark.parametrize("error", [0.2, 0.5, 1])
@pytest.mark.parametrize("failure_probability", [0.5, 0.01])
def test_number_of_hints_suffices_by_the_exact_distribution(d, k, error, failure_probability):
    n_inputs = 100
    q = n_hints_that_suffice(d, k, n_inputs, error, failure_probability)
    assert n_inputs * d * tail_of_reconstruction(d, k, q, error) <= failure_probability
    # The bound is not idle: with a third of the hints a union bound over the exact tails fails.
    assert n_inputs * d * tail_of_reconstruction(d, k, q // 3, error) > failure_probability


def test_with_the_number_that_suffices_all_neurons_come_back_and_with_a_tenth_they_do_not():
    d, k, n_inputs, error, failure_probability = 8, 3, 50, 0.5, 0.2
    rng = np.random.default_rng(0)
    neurons = random_neurons(n_inputs, d, rng)

    def failures(q):
        worst = []
        for _ in range(100):
            weights = draw_hint_weights(q, d, k, rng)
            worst.append(np.abs(reconstruct_neurons(majority_hints(neurons, weights), weights) - neurons).max())
        return np.mean(np.array(worst) > error)

    q = n_hints_that_suffice(d, k, n_inputs, error, failure_probability)
    assert failures(q) <= failure_probability
    assert failures(q // 10) > failure_probability


def test_number_of_hints_grows_with_the_width_not_its_square():
    few, many = (n_hints_that_suffice(d, 3, 1000, 0.5, 0.01) for d in (100, 1000))
    assert 10 < many / few < 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: hint_correlation(5, 2), "k must be an odd number.*k=2, d=5"),
        (lambda rng: hint_correlation(3, 5), "of at most d.*k=5, d=3"),
        (lambda rng: hint_correlation(0, 1), "d must be a whole number of at least 1, however: d=0"),
        (lambda rng: draw_hint_weights(-1, 3, 1, rng), "n_hints=-1"),
        (lambda rng: majority_hints(np.ones((2, 3)), np.ones((1, 1))), r"of shape \(n_samples, 1\).*\(2, 3\)"),
        (lambda rng: majority_hints(np.ones((2, 2)), np.ones((1, 2))), r"odd number.*weights\[0\]=\[1\.0, 1\.0\]"),
        (lambda rng: majority_hints(np.ones((2, 1)), np.full((1, 1), 2)), "of -1, 0 and 1"),
        (lambda rng: reconstruct_neurons(np.ones((2, 0)), np.ones((0, 3))), "at least one"),
        (lambda rng: reconstruct_neurons(np.ones((2, 2)), np.ones((1, 3))), r"hints\.shape=\(2, 2\)"),
        (lambda rng: reconstruct_neurons(np.ones((1, 2)), np.array([[1, 0, 0], [1, 1, 1]])), r"have \[1, 3\]"),
        (lambda rng: n_hints_that_suffice(5, 3, 0, 0.5, 0.1), "n_inputs=0"),
        (lambda rng: n_hints_that_suffice(5, 3, 10, 0, 0.1), "error must be a positive number, however: error=0"),
        (lambda rng: n_hints_that_suffice(5, 3, 10, 0.5, 0), "failure_probability=0"),
        (lambda rng: n_hints_that_suffice(5, 3, 10, 0.5, 1), "failure_probability=1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))
