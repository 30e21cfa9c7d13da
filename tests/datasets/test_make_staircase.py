import numpy as np
import pytest

from rungwise.datasets import make_staircase


def hidden_ordering(model):
    """Return the inputs in the order in which the staircase climbs them, read from the parents of the monomials."""
    first, second = model.functions[0].parents
    return [first, second, *(f.parents[1] for f in model.functions[1:-1])]


@pytest.mark.parametrize(("n_inputs", "degree"), [(3, 3), (20, 7), (30, 15)])
def test_labels_are_the_monomials_and_the_sign_of_their_sum(n_inputs, degree):
    X, Y, model = make_staircase(400, n_inputs, degree, random_state=0)
    monomials = np.cumprod(X[:, hidden_ordering(model)], axis=1)
    np.testing.assert_array_equal(2 * Y[:, :-1] - 1, monomials[:, 1:])
    np.testing.assert_array_equal(2 * Y[:, -1] - 1, np.sign(monomials.sum(axis=1)))
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert model.level.tolist() == list(range(1, degree + 1))


def test_without_prefixes_only_the_staircase_is_left():
    X, Y, _ = make_staircase(300, 12, 5, random_state=1)
    X_alone, Y_alone, alone = make_staircase(300, 12, 5, prefixes=False, random_state=1)
    np.testing.assert_array_equal(X, X_alone)
    np.testing.assert_array_equal(Y[:, -1:], Y_alone)
    assert alone.certify(X).K == 5


def test_staircase_has_margin_one_and_norm_root_of_its_degree():
    X, _, model = make_staircase(2000, 10, 5, random_state=2)
    certificate = model.certify(X)
    assert certificate.r == 5
    assert certificate.K == 2
    np.testing.assert_allclose(certificate.M, np.sqrt(5))


def test_ordering_is_hidden_and_reproducible():
    orderings = [hidden_ordering(make_staircase(1, 20, 7, random_state=seed)[2]) for seed in (0, 0, 1)]
    assert orderings[0] == orderings[1]
    assert orderings[0] != orderings[2]
    assert orderings[0] != sorted(orderings[0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"degree": 4}, "degree must be an odd number, however: degree=4"),
        ({"degree": 1}, "degree must be a whole number of at least 3, however: degree=1"),
        ({"degree": 9, "n_inputs": 8}, "n_inputs must be at least degree=9, however: n_inputs=8"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_staircase(**parameters)
