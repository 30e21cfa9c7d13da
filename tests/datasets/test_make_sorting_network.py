import numpy as np
import pytest

from rungwise.datasets import make_sorting_network
from rungwise.theory.boolean import hypercube


def in_order(Y, model):
    return Y[:, [model.label_names.index(f"sorted_{k}") for k in range(model.n_inputs)]]


@pytest.mark.parametrize("n_bits", range(2, 13))
def test_every_input_is_sorted(n_bits):
    # By the zero-one principle the network then sorts whatever can be compared.
    _, _, model = make_sorting_network(1, n_bits, random_state=0)
    rows = hypercube(n_bits)
    np.testing.assert_array_equal(in_order(model(rows), model), np.sort(rows, axis=1))


@pytest.mark.parametrize(
    ("n_bits", "n_comparators", "depth"),
    # Batcher's odd-even merge sort of 2^t wires: (t² - t + 4) 2^(t - 2) - 1 comparators, t (t + 1) / 2 deep.
    [(2, 1, 1), (4, 5, 3), (8, 19, 6), (16, 63, 10), (32, 191, 15), (24, 127, 15)],
)
def test_size_and_depth_are_those_of_the_odd_even_merge_sort(n_bits, n_comparators, depth):
    X, Y, model = make_sorting_network(300, n_bits, random_state=1)
    np.testing.assert_array_equal(in_order(Y, model), np.sort(X > 0, axis=1))
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert model.n_labels == 2 * n_comparators
    assert model.level.max() == depth
    assert X.dtype == np.float32
    assert Y.dtype == np.int8


def test_comparator_puts_the_and_on_the_lower_wire_and_the_or_on_the_higher():
    _, _, model = make_sorting_network(1, 24, shuffle=False, random_state=0)
    for low, high in zip(model.functions[::2], model.functions[1::2], strict=True):
        assert (low.kind, high.kind) == ("and", "or")
        assert low.parents == high.parents
        wires = [int(f.name.rpartition("_")[2]) for f in (low, high)]
        assert wires == sorted(wires)


def test_shuffling_only_reorders_and_the_seed_reproduces():
    X, Y, model = make_sorting_network(30, 6, random_state=3)
    X_again, Y_again, _ = make_sorting_network(30, 6, random_state=3)
    X_plain, Y_plain, plain = make_sorting_network(30, 6, shuffle=False, random_state=3)
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(Y, Y_again)
    np.testing.assert_array_equal(X, X_plain)
    assert model.label_names != plain.label_names
    np.testing.assert_array_equal(Y, Y_plain[:, [plain.label_names.index(name) for name in model.label_names]])


def test_one_bit_is_refused():
    with pytest.raises(ValueError, match="n_bits must be a whole number of at least 2, however: n_bits=1"):
        make_sorting_network(10, 1)
