import numpy as np
import pytest

from rungwise.datasets import make_parity


@pytest.mark.parametrize("n_bits", [2, 3, 10, 30])
def test_labels_are_the_prefix_parities(n_bits):
    X, Y, model = make_parity(500, n_bits, random_state=0)
    expected = np.cumsum(X > 0, axis=1)[:, 1:] % 2
    np.testing.assert_array_equal(Y, expected)
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert X.dtype == np.float32
    assert Y.dtype == np.int8


@pytest.mark.parametrize("n_bits", [2, 5, 30])
def test_without_prefixes_only_the_full_parity_is_left(n_bits):
    X, Y, model = make_parity(500, n_bits, prefixes=False, random_state=0)
    np.testing.assert_array_equal(Y[:, 0], (X > 0).sum(axis=1) % 2)
    assert model.level.tolist() == [1]
    assert model.parents(0) == [f"x{i}" for i in range(n_bits)]
    certificate = model.certify(X)
    assert (certificate.r, certificate.K) == (1, n_bits)


def test_prefixes_do_not_change_the_rows():
    X, Y, _ = make_parity(50, 6, random_state=1)
    X_alone, Y_alone, _ = make_parity(50, 6, prefixes=False, random_state=1)
    np.testing.assert_array_equal(X, X_alone)
    np.testing.assert_array_equal(Y[:, -1:], Y_alone)


def test_each_parity_reads_the_one_before_and_the_next_bit():
    _, _, model = make_parity(1, 4, random_state=0)
    assert model.parents("parity_of_first_2") == ["x0", "x1"]
    assert model.parents("parity_of_first_3") == ["parity_of_first_2", "x2"]
    assert model.parents("parity_of_first_4") == ["parity_of_first_3", "x3"]
    assert model.certify().K == 2


def test_seed_reproduces():
    np.testing.assert_array_equal(make_parity(30, 5, random_state=7)[0], make_parity(30, 5, random_state=7)[0])


def test_one_bit_is_refused():
    with pytest.raises(ValueError, match="n_bits must be a whole number of at least 2, however: n_bits=1"):
        make_parity(10, 1)
