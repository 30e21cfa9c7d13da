from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.theory.boolean import (
    conjunction,
    disjunction,
    fourier_expansion,
    hypercube,
    look_up,
    majority,
    multiplexer,
    parity,
    table_of,
)

tables = st.integers(0, 6).flatmap(lambda K: st.lists(st.sampled_from([-1, 1]), min_size=2**K, max_size=2**K))


def brute_force_coefficients(table):
    """Return {subset: E f(x) Π_{j in subset} x_j} by enumeration of all subsets."""
    K = len(table).bit_length() - 1
    X = hypercube(K).astype(float)
    subsets = [s for k in range(K + 1) for s in combinations(range(K), k)]
    return {s: float(np.mean(np.asarray(table) * X[:, list(s)].prod(axis=1))) for s in subsets}


def test_hypercube_counts_in_binary_with_the_first_bit_most_significant():
    np.testing.assert_array_equal(hypercube(3), list(product([-1, 1], repeat=3)))
    assert hypercube(0).shape == (1, 0)


@given(tables)
@settings(deadline=None)
def test_fourier_coefficients_equal_brute_force(table):
    polynomial = fourier_expansion(table)
    found = {
        tuple(np.flatnonzero(e).tolist()): c for e, c in zip(polynomial.exponents, polynomial.coefficients, strict=True)
    }
    assert found == {s: c for s, c in brute_force_coefficients(table).items() if c != 0}


@given(tables)
@settings(deadline=None)
def test_fourier_expansion_reproduces_the_table_with_norm_one(table):
    polynomial = fourier_expansion(table)
    np.testing.assert_array_equal(polynomial(hypercube(polynomial.n_variables)), table)
    assert polynomial.norm == pytest.approx(1, abs=1e-12)  # Parseval.
    assert polynomial.is_multilinear


def test_fourier_terms_come_by_degree():
    degrees = fourier_expansion(multiplexer()).exponents.sum(axis=1)
    assert degrees.tolist() == sorted(degrees)
    assert str(fourier_expansion(multiplexer())) == "0.5 x1 + 0.5 x2 + 0.5 x0 x1 - 0.5 x0 x2"


@given(tables, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_look_up_finds_every_row(table, seed):
    K = len(table).bit_length() - 1
    rows = np.random.default_rng(seed).integers(len(table), size=20)
    np.testing.assert_array_equal(look_up(np.array(table), hypercube(K)[rows]), np.array(table)[rows])


@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_gates_do_what_their_names_say(K):
    bits = list(product([False, True], repeat=K))
    as_signs = {
        "and": [1 if all(b) else -1 for b in bits],
        "or": [1 if any(b) else -1 for b in bits],
        "parity": [1 if sum(b) % 2 else -1 for b in bits],
    }
    np.testing.assert_array_equal(conjunction(K), as_signs["and"])
    np.testing.assert_array_equal(disjunction(K), as_signs["or"])
    np.testing.assert_array_equal(parity(K), as_signs["parity"])
    if K % 2:
        np.testing.assert_array_equal(majority(K), [1 if sum(b) > K / 2 else -1 for b in bits])


@pytest.mark.parametrize("K", [1, 2, 3, 4])
def test_parity_is_the_product_up_to_sign(K):
    np.testing.assert_array_equal(parity(K), (-1) ** (K - 1) * hypercube(K).prod(axis=1))


def test_multiplexer_selects():
    np.testing.assert_array_equal(multiplexer(), [a if s else b for s, a, b in product([0, 1], [-1, 1], [-1, 1])])


@pytest.mark.parametrize("K", [0, 2, 4, -1])
def test_majority_of_an_even_number_is_refused(K):
    with pytest.raises(ValueError, match=f"odd number of inputs.*K={K}"):
        majority(K)


@pytest.mark.parametrize("gate", [parity, conjunction, disjunction])
def test_gates_without_inputs_are_refused(gate):
    with pytest.raises(ValueError, match="K=0"):
        gate(0)


@pytest.mark.parametrize(
    ("table", "message"),
    [([1, 1, 1], r"\(3,\)"), ([[1, -1]], r"\(1, 2\)"), ([], r"\(0,\)"), ([0, 1], r"\[0, 1\]")],
)
def test_bad_tables_are_refused(table, message):
    with pytest.raises(ValueError, match=message):
        fourier_expansion(table)


def test_function_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="4 in all, however: it returned 2"):
        table_of(lambda X: X[:2, 0], 2)
    with pytest.raises(ValueError, match="K=-1"):
        hypercube(-1)
