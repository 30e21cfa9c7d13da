import numpy as np
import pytest

from rungwise.datasets import make_hierarchy
from rungwise.theory.boolean import majority, multiplexer, parity

ALL_KINDS = ("majority", "parity", "multiplexer", "and", "or", "ptf")
SHAPES = [(20, 8, 6), (60, 8, 30), (60, 20, 20)]


def correlations(X, Y):
    """|E z w| between each label and each other entry of the stream, (n_inputs + n_labels, n_labels)."""
    labels = 2.0 * Y - 1
    stream = np.hstack([X, labels])
    found = np.abs(stream.T @ labels) / len(X)
    found[X.shape[1] :][np.diag_indices(Y.shape[1])] = 0
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_labels_are_neither_lopsided_nor_copies_on_fresh_rows(shape, seed):
    X, Y, _ = make_hierarchy(10000, *shape, random_state=seed)
    # The bounds hold on 8,192 reference inputs; another sample of 10,000 differs by five standard errors at most.
    assert np.abs((2.0 * Y - 1).mean(axis=0)).max() < 0.6 + 5 * np.sqrt(1 / 8192 + 1 / 10000)
    assert (1 + correlations(X, Y).max()) / 2 < 0.98 + 5 * np.sqrt(0.98 * 0.02 * (1 / 8192 + 1 / 10000))


def test_model_computes_the_returned_labels():
    X, Y, model = make_hierarchy(500, random_state=0)
    assert X.shape == (500, 20)
    assert Y.shape == (500, 48)
    assert X.dtype == np.float32
    assert Y.dtype == np.int8
    assert set(np.unique(X)) == {-1, 1}
    assert set(np.unique(Y)) == {0, 1}
    np.testing.assert_array_equal(model(X), 2 * Y - 1)


def test_labels_follow_from_their_parents_columns():
    X, Y, model = make_hierarchy(200, 12, 3, 6, random_state=1)
    stream = np.hstack([X > 0, Y > 0])
    for j, f in enumerate(model.functions):
        a, b, *c = stream[:, list(f.parents)].T
        expected = {
            "majority": lambda a=a, b=b, c=c: a.astype(int) + b + c[0] >= 2,
            "parity": lambda a=a, b=b: a ^ b,
            "multiplexer": lambda a=a, b=b, c=c: np.where(a, b, c[0]),
        }[f.kind]()
        np.testing.assert_array_equal(Y[:, j], expected)


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_level_has_the_number_of_labels_asked_for(shuffle):
    _, _, model = make_hierarchy(10, 15, 5, 7, shuffle=shuffle, random_state=2)
    assert np.bincount(model.level).tolist() == [0, 7, 7, 7, 7, 7]
    assert bool((np.diff(model.level) >= 0).all()) is not shuffle


def test_parents_lie_on_the_level_just_below():
    _, _, model = make_hierarchy(10, random_state=3)
    level_in_stream = np.concatenate([np.zeros(20, dtype=int), model.level])
    assert all(level_in_stream[parent] == model.level[label] - 1 for parent, label in model.edges)


def test_every_label_below_the_top_is_a_parent():
    _, _, model = make_hierarchy(10, random_state=4)
    used = {parent - 20 for parent, _ in model.edges if parent >= 20}
    assert used == set(np.flatnonzero(model.level < 8))


def test_kinds_are_spread_evenly_and_have_their_tables():
    _, _, model = make_hierarchy(10, n_levels=4, n_labels_per_level=6, random_state=5)
    tables = {"majority": majority(3), "parity": parity(2), "multiplexer": multiplexer()}
    for level in range(1, 5):
        kinds = [f.kind for f, at in zip(model.functions, model.level, strict=True) if at == level]
        assert sorted(kinds) == ["majority"] * 2 + ["multiplexer"] * 2 + ["parity"] * 2
    for f in model.functions:
        np.testing.assert_array_equal(f.function, tables[f.kind])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_each_kind_can_be_asked_for_alone(kind):
    _, _, model = make_hierarchy(10, 30, 1, 5, kinds=(kind,), random_state=6)
    assert {f.kind for f in model.functions} == {kind}


@pytest.mark.parametrize("fan_in", [2, 4, 5])
def test_random_threshold_functions_read_all_their_parents(fan_in):
    _, _, model = make_hierarchy(10, 20, 2, 10, kinds=("ptf",), fan_in=fan_in, random_state=7)
    for f in model.functions:
        cube = f.function.reshape((2,) * fan_in)
        assert len(f.parents) == fan_in
        assert all((np.take(cube, 0, axis) != np.take(cube, 1, axis)).any() for axis in range(fan_in))


def test_random_threshold_functions_of_degree_two_are_certified():
    _, _, model = make_hierarchy(10, 20, 2, 10, kinds=("ptf",), random_state=8)
    certificate = model.certify(degree=2)
    assert certificate.K <= 2
    assert certificate.r == 2


def test_same_seed_gives_the_same_data_and_another_seed_does_not():
    X, Y, _ = make_hierarchy(50, random_state=0)
    X_again, Y_again, _ = make_hierarchy(50, random_state=0)
    X_other, Y_other, _ = make_hierarchy(50, random_state=1)
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(Y, Y_again)
    assert not np.array_equal(X, X_other)
    assert not np.array_equal(Y, Y_other)


def test_model_does_not_depend_on_the_number_of_samples():
    _, _, few = make_hierarchy(3, random_state=9)
    _, _, many = make_hierarchy(3000, random_state=9)
    assert few.edges == many.edges
    for f, g in zip(few.functions, many.functions, strict=True):
        assert (f.name, f.parents, f.kind) == (g.name, g.parents, g.kind)
        np.testing.assert_array_equal(f.function, g.function)


def test_shuffling_only_reorders_the_labels():
    X, Y, shuffled = make_hierarchy(300, random_state=10)
    X_in_order, Y_in_order, _ = make_hierarchy(300, shuffle=False, random_state=10)
    np.testing.assert_array_equal(X, X_in_order)
    assert sorted(map(bytes, Y.T.copy())) == sorted(map(bytes, Y_in_order.T.copy()))
    assert shuffled.label_names == [f"label_{j}" for j in range(48)]


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_advanced_by_each_call(make):
    rng = make(0)
    X_first, _, _ = make_hierarchy(20, 6, 1, 2, random_state=rng)
    X_second, _, _ = make_hierarchy(20, 6, 1, 2, random_state=rng)
    X_again, _, _ = make_hierarchy(20, 6, 1, 2, random_state=make(0))
    assert (X_first != X_second).any()
    np.testing.assert_array_equal(X_first, X_again)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy state is what must not change
    make_hierarchy(5, random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_certificate_has_one_level_per_level():
    _, _, model = make_hierarchy(10, n_levels=4, random_state=11)
    certificate = model.certify()
    assert (certificate.r, certificate.K, certificate.M, certificate.reads_inputs_above_level_one) == (4, 3, 1.0, ())


def test_level_that_cannot_be_filled_is_named():
    # An and of two ands of two bits is true on 1 of 16 inputs: |mean| = 0.875.
    with pytest.raises(ValueError, match=r"level 2 could not be filled: it has 0 of 6 labels, .* 15 choices"):
        make_hierarchy(10, n_levels=2, kinds=("and",), random_state=0)


def test_too_few_distinct_functions_are_reported():
    with pytest.raises(ValueError, match=r"level 1 could not be filled: it has 3 of 4 labels, .* 3 choices"):
        make_hierarchy(10, n_inputs=3, n_levels=1, n_labels_per_level=4, kinds=("parity",), random_state=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fan_in": 4}, "fan_in must be an odd number, however: fan_in=4"),
        ({"fan_in": 17}, "fan_in must be from 2 to 15.*fan_in=17"),
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1, however: n_samples=0"),
        ({"n_levels": 2.0}, "n_levels must be a whole number of at least 1, however: n_levels=2.0"),
        ({"kinds": ("nand",)}, "kinds must be taken from .*'nand'"),
        ({"kinds": "parity"}, "kinds must be a sequence"),
        ({"kinds": ()}, "kinds must be a sequence"),
        ({"max_bias": 0}, "max_bias must lie strictly between 0 and 1, however: max_bias=0"),
        ({"n_inputs": 2}, "n_inputs must be at least 3, .*'majority'"),
        ({"n_labels_per_level": 2}, "n_labels_per_level must be at least 3"),
        ({"random_state": -1}, "random_state must be None.*random_state=-1"),
        ({"random_state": "0"}, "random_state must be None.*random_state='0'"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_hierarchy(**parameters)
