import numpy as np
import pytest

from rungwise import RungwiseClassifier
from rungwise.teacher import CircuitTeacher, Teacher
from rungwise.theory.boolean import hypercube, look_up, majority


@pytest.fixture
def teacher():
    return CircuitTeacher.random(n_inputs=8, n_layers=3, n_neurons=10, random_state=0)


def rows(n_samples=400, n_inputs=8, seed=0):
    return np.random.default_rng(seed).choice([-1, 1], size=(n_samples, n_inputs))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_each_hint_is_the_majority_of_the_neurons_that_its_weights_name(teacher, k):
    X = rows()
    hints = teacher.hints(X, n_hints=15, k=k, random_state=0)
    assert hints.Y.shape == (400, 45)
    assert hints.Y.dtype == np.float32
    assert hints.layer.tolist() == [1] * 15 + [2] * 15 + [3] * 15
    columns = iter(hints.Y.T)
    for layer, weights in zip(teacher.neurons(X), hints.weights, strict=True):
        for votes in weights:
            read = np.flatnonzero(votes)
            assert len(read) == k
            np.testing.assert_array_equal(next(columns), look_up(majority(k), layer[:, read] * votes[read]))


def test_names_tell_layer_and_number(teacher):
    hints = teacher.hints(rows(), n_hints=18, random_state=0)
    assert [hints.names[j] for j in (0, 17, 18, 35, 53)] == [
        "hint_1_0",
        "hint_1_17",
        "hint_2_0",
        "hint_2_17",
        "hint_3_17",
    ]
    assert len(set(hints.names)) == 54


def test_same_majorities_are_given_for_other_rows(teacher):
    X = rows()
    hints = teacher.hints(X, n_hints=5, noise=0.2, coverage=0.5, random_state=1)
    clean = teacher.hints(X, n_hints=5, random_state=1)
    np.testing.assert_array_equal(hints.on(X), clean.Y)
    np.testing.assert_array_equal(hints.on(X[::7]), clean.Y[::7])
    assert hints.on(rows(30, seed=2)).shape == (30, 15)


def test_majorities_depend_on_neither_rows_nor_noise_nor_coverage(teacher):
    few = teacher.hints(rows(10), n_hints=5, random_state=3)
    many = teacher.hints(rows(500, seed=4), n_hints=5, noise=0.1, coverage=0.3, random_state=3)
    other = teacher.hints(rows(10), n_hints=5, random_state=4)
    for a, b in zip(few.weights, many.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(few.weights, other.weights, strict=True))


@pytest.mark.parametrize(("awareness", "n_aware"), [(1.0, 10), (0.5, 5), (0.34, 3), (0.01, 1)])
def test_hints_read_only_neurons_that_the_teacher_is_aware_of(teacher, awareness, n_aware):
    hints = teacher.hints(rows(), n_hints=300, k=3, awareness=awareness, random_state=0)
    read = [np.flatnonzero(weights.any(axis=0)).tolist() for weights in hints.weights]
    assert [len(neurons) for neurons in read] == [n_aware] * 3
    if 1 < n_aware < 10:
        assert read[0] != read[1]


def test_layers_too_narrow_for_k_votes_take_the_largest_odd_number():
    teacher = CircuitTeacher.random(n_inputs=6, n_layers=1, n_neurons=4, random_state=0)
    hints = teacher.hints(rows(n_inputs=6), n_hints=8, k=7, random_state=0)
    assert np.count_nonzero(hints.weights[0], axis=1).tolist() == [3] * 8


def test_noise_flips_the_fraction_asked_for(teacher):
    X = rows(2000)
    clean, noisy = (teacher.hints(X, n_hints=20, noise=noise, random_state=0).Y for noise in (0, 0.1))
    flipped = clean != noisy
    # 120,000 draws: a standard error of 0.0009; 2,000 for each hint: 0.0067.
    assert flipped.mean() == pytest.approx(0.1, abs=0.005)
    assert np.abs(flipped.mean(axis=0) - 0.1).max() < 0.035
    assert set(np.unique(noisy)) == {-1, 1}


@pytest.mark.parametrize(("coverage", "n_shown"), [(0.25, 100), (0.001, 1), (1.0, 400)])
def test_each_hint_is_shown_on_rows_of_its_own(teacher, coverage, n_shown):
    X = rows()
    clean, hints = (teacher.hints(X, n_hints=10, coverage=c, random_state=0).Y for c in (1.0, coverage))
    shown = ~np.isnan(hints)
    assert (shown.sum(axis=0) == n_shown).all()
    np.testing.assert_array_equal(hints[shown], clean[shown])
    if coverage == 0.25:
        # Of 400 rows and 30 hints: every row is shown some, and no two hints share their rows.
        assert shown.any(axis=1).all()
        assert len(np.unique(shown, axis=1).T) == 30


@pytest.mark.parametrize("make", [lambda: 0, lambda: np.random.default_rng(0), lambda: np.random.RandomState(0)])
def test_seed_reproduces_all_that_is_random(teacher, make):
    X = rows()
    settings = {"n_hints": 6, "awareness": 0.7, "noise": 0.1, "coverage": 0.5}
    first, again = (teacher.hints(X, **settings, random_state=make()) for _ in range(2))
    np.testing.assert_array_equal(first.Y, again.Y)


def test_global_random_state_is_left_alone(teacher):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is what must not change
    teacher.hints(rows(), n_hints=2, noise=0.1, coverage=0.5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_any_layers_of_neurons_can_give_hints():
    class Mirror(Teacher):
        """Its inputs are its only layer, and its outputs."""

        def neurons(self, X):
            return [X]

        def outputs(self, X):
            return X

    X = hypercube(4)
    hints = Mirror().hints(X, n_hints=3, k=1, random_state=0)
    np.testing.assert_array_equal(hints.Y, X @ hints.weights[0].T)


def test_a_student_learns_from_hints_with_gaps(teacher):
    X = rows(600)
    hints = teacher.hints(X, n_hints=4, coverage=0.8, random_state=0)
    student = RungwiseClassifier("sparse", max_depth=2, random_state=0).fit(X, hints.Y)
    error = (student.predict(rows(300, seed=1)) != hints.on(rows(300, seed=1))).mean(axis=0)
    assert error[hints.layer == 1].mean() < 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_hints": 0}, "n_hints must be a whole number of at least 1, however: n_hints=0"),
        ({"k": 2}, "k must be an odd number .*, however: k=2"),
        ({"k": -1}, "k must be a whole number of at least 1, however: k=-1"),
        ({"awareness": 0}, "awareness must be a number greater than 0 and at most 1, however: awareness=0"),
        ({"awareness": 1.5}, "awareness=1.5"),
        ({"noise": 1}, "noise must be a number of at least 0 and less than 1, however: noise=1"),
        ({"coverage": 0.0}, r"coverage must be a number greater than 0 and at most 1, however: coverage=0\.0"),
        ({"coverage": True}, "coverage=True"),
        ({"random_state": "0"}, "random_state='0'"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(teacher, parameters, message):
    with pytest.raises(ValueError, match=message):
        teacher.hints(rows(), **{"n_hints": 5, **parameters})
