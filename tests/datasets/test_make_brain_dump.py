import numpy as np
import pytest

from rungwise.datasets import make_brain_dump


def test_columns_are_the_hints_then_the_outputs():
    X, Y, hints = make_brain_dump(200, 8, 3, n_hints=10, random_state=0)
    assert X.shape == (200, 8)
    assert Y.shape == (200, 38)
    assert X.dtype == Y.dtype == np.float32
    assert set(np.unique(X)) == {-1, 1}
    assert set(np.unique(Y)) == {0, 1}
    np.testing.assert_array_equal(2 * Y[:, :30] - 1, hints.on(X))
    np.testing.assert_array_equal(2 * Y[:, 30:] - 1, hints.teacher.outputs(X))
    assert hints.layer.tolist() == [1] * 10 + [2] * 10 + [3] * 10
    assert hints.teacher.model.level.max() == 3


def test_only_hints_have_noise_and_gaps():
    X, Y, hints = make_brain_dump(400, 8, 2, n_hints=20, awareness=0.5, noise=0.1, coverage=0.5, random_state=1)
    told, outputs = 2 * Y[:, :40] - 1, 2 * Y[:, 40:] - 1
    assert np.isnan(told).mean() == 0.5
    shown = ~np.isnan(told)
    assert (told[shown] != hints.on(X)[shown]).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(outputs, hints.teacher.outputs(X))
    assert [int(w.any(axis=0).sum()) for w in hints.weights] == [4, 4]


def test_circuit_and_majorities_do_not_depend_on_the_number_of_samples():
    _, _, few = make_brain_dump(3, 8, 2, n_hints=10, random_state=2)
    _, _, many = make_brain_dump(300, 8, 2, n_hints=10, random_state=2)
    assert few.teacher.model.edges == many.teacher.model.edges
    np.testing.assert_array_equal(np.vstack(few.weights), np.vstack(many.weights))


def test_number_of_hints_changes_neither_rows_nor_outputs():
    X, Y, _ = make_brain_dump(50, 8, 2, n_hints=3, random_state=3)
    X_more, Y_more, _ = make_brain_dump(50, 8, 2, n_hints=30, random_state=3)
    np.testing.assert_array_equal(X, X_more)
    np.testing.assert_array_equal(Y[:, -8:], Y_more[:, -8:])


def test_seed_reproduces():
    for first, again in zip(
        *(make_brain_dump(30, 6, 2, n_hints=5, noise=0.2, random_state=7)[:2] for _ in "12"), strict=True
    ):
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_neurons": 2}, "n_neurons must be a whole number of at least 3, however: n_neurons=2"),
        ({"n_layers": 0}, "n_layers=0"),
        ({"n_hints": 0}, "n_hints=0"),
        ({"k": 4}, "k=4"),
        ({"coverage": 0}, "coverage=0"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_brain_dump(**parameters)
