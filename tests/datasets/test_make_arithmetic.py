import numpy as np
import pytest

from rungwise.datasets import make_adder, make_multiplier
from rungwise.theory.boolean import hypercube


def operands(X):
    """Return the two numbers of each row as Python integers, which are never too large."""
    bits = (X > 0).astype(int)
    n_bits = bits.shape[1] // 2
    return [whole(row[:n_bits]) for row in bits], [whole(row[n_bits:]) for row in bits]


def whole(bits):
    return sum(int(bit) << k for k, bit in enumerate(bits))


def column(Y, model, name):
    return Y[:, model.label_names.index(name)]


def sums(Y, model, n_bits):
    names = [*(f"sum_{k}" for k in range(n_bits)), f"carry_{n_bits - 1}"]
    return [whole(row) for row in np.column_stack([column(Y, model, name) for name in names])]


def products(Y, model, n_bits):
    names = [f"product_{k}" for k in range(2 * n_bits)]
    return [whole(row) for row in np.column_stack([column(Y, model, name) for name in names])]


@pytest.mark.parametrize("n_bits", [2, 3, 5, 17, 64])
def test_adder_adds(n_bits):
    X, Y, model = make_adder(100, n_bits, random_state=0)
    a, b = operands(X)
    assert sums(Y, model, n_bits) == [i + j for i, j in zip(a, b, strict=True)]
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert model.n_labels == 5 * n_bits - 3
    assert model.level.max() == 2 * n_bits - 1
    assert X.dtype == np.float32
    assert Y.dtype == np.int8


def test_carry_is_the_majority_of_both_bits_and_the_carry_before():
    X, Y, model = make_adder(500, 8, random_state=1)
    votes = (X[:, 7] > 0).astype(int) + (X[:, 15] > 0) + column(Y, model, "carry_6")
    np.testing.assert_array_equal(column(Y, model, "carry_7"), votes >= 2)


def test_adder_of_64_bits_is_more_than_a_hundred_levels_deep():
    _, _, model = make_adder(1, random_state=0)
    assert model.level.max() == 127
    assert model.input_names == [f"{number}_{k}" for number in "ab" for k in range(64)]


@pytest.mark.parametrize("gates", ["nor", "and_or_xor"])
@pytest.mark.parametrize("n_bits", [2, 3, 4])
def test_multiplier_multiplies_all_pairs_of_small_numbers(gates, n_bits):
    _, _, model = make_multiplier(1, n_bits, gates, random_state=0)
    rows = hypercube(2 * n_bits)
    a, b = operands(rows)
    assert products(model(rows) > 0, model, n_bits) == [i * j for i, j in zip(a, b, strict=True)]


@pytest.mark.parametrize(("gates", "n_labels", "depth"), [("nor", 2368, 122), ("and_or_xor", 1408, 60)])
def test_multiplier_of_16_bits_multiplies_at_the_stated_size_and_depth(gates, n_labels, depth):
    X, Y, model = make_multiplier(1000, 16, gates, random_state=0)
    a, b = operands(X)
    assert products(Y, model, 16) == [i * j for i, j in zip(a, b, strict=True)]
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert X.shape == (1000, 32)
    assert Y.shape == (1000, n_labels)
    assert model.level.max() == depth


@pytest.mark.parametrize("gates", ["nor", "and_or_xor"])
@pytest.mark.parametrize("n_bits", [2, 3, 6])
def test_array_has_n_squared_products_and_the_stated_adders(gates, n_bits):
    _, _, model = make_multiplier(1, n_bits, gates, random_state=0)
    of_half, of_full = {"nor": (6, 9), "and_or_xor": (2, 5)}[gates]
    assert model.n_labels == n_bits**2 + n_bits * of_half + n_bits * (n_bits - 2) * of_full
    assert all(len(f.parents) <= 2 for f in model.functions)


@pytest.mark.parametrize("gates", ["nor", "and_or_xor"])
def test_signals_of_the_array_are_what_their_names_say(gates):
    X, Y, model = make_multiplier(300, 5, gates, random_state=2)
    bits = X > 0
    np.testing.assert_array_equal(column(Y, model, "partial_3_2"), bits[:, 2] & bits[:, 5 + 3])
    # The adder in row 3 and column 2 adds what has weight 2^5: two signals of row 2, and the partial product.
    terms = [column(Y, model, name) for name in ("partial_3_2", "sum_2_3", "carry_2_2")]
    total = column(Y, model, "sum_3_2") + 2 * column(Y, model, "carry_3_2")
    np.testing.assert_array_equal(total, np.sum(terms, axis=0))


@pytest.mark.parametrize("gates", ["nor", "and_or_xor"])
def test_no_two_signals_of_the_multiplier_are_the_same_and_none_is_constant(gates):
    _, _, model = make_multiplier(1, 5, gates, random_state=0)
    values = model(hypercube(10))
    assert len(np.unique(values.T, axis=0)) == model.n_labels
    assert (values.min(axis=0) < values.max(axis=0)).all()


@pytest.mark.parametrize("make", [make_adder, make_multiplier])
def test_shuffling_only_reorders_and_the_seed_reproduces(make):
    X, Y, model = make(30, 6, random_state=3)
    X_again, Y_again, again = make(30, 6, random_state=3)
    X_in_order, Y_in_order, in_order = make(30, 6, shuffle=False, random_state=3)
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(Y, Y_again)
    np.testing.assert_array_equal(X, X_in_order)
    assert model.label_names == again.label_names != in_order.label_names
    for name in model.label_names:
        np.testing.assert_array_equal(column(Y, model, name), column(Y_in_order, in_order, name))


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (make_adder, {"n_bits": 1}, "n_bits must be a whole number of at least 2, however: n_bits=1"),
        (make_multiplier, {"n_bits": 1}, "n_bits must be a whole number of at least 2, however: n_bits=1"),
        (make_multiplier, {"gates": "nand"}, "gates must be one of 'nor', 'and_or_xor', however: gates='nand'"),
        (make_adder, {"n_samples": 0}, "n_samples must be a whole number of at least 1, however: n_samples=0"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters)
