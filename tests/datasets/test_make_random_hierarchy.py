import numpy as np
import pytest

from rungwise.datasets import make_random_hierarchy
from rungwise.theory.boolean import hypercube

SHAPES = [
    {"n_classes": 4, "n_symbols": 4, "n_synonyms": 4, "branching": 2, "depth": 3},
    {"n_classes": 2, "n_symbols": 3, "n_synonyms": 3, "branching": 3, "depth": 2},
    {"n_classes": 5, "n_symbols": 3, "n_synonyms": 1, "branching": 2, "depth": 1},
]


def meanings(strings, hidden):
    """Return, for each s-tuple of one level, the set of symbols of the level above that it stands for."""
    n, positions = hidden.shape
    tuples = strings.reshape(n * positions, -1)
    found = {}
    for key, symbol in zip(map(tuple, tuples.tolist()), hidden.ravel().tolist(), strict=True):
        found.setdefault(key, set()).add(symbol)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_model_computes_the_returned_labels(shape):
    X, Y, model = make_random_hierarchy(300, **shape, random_state=0)
    np.testing.assert_array_equal(model(X), 2 * Y - 1)
    assert model.level.max() == shape["depth"]
    assert X.dtype == np.float32
    assert Y.dtype == np.int8


@pytest.mark.parametrize("shape", SHAPES)
def test_every_position_shows_exactly_one_symbol(shape):
    X, Y, model = make_random_hierarchy(300, **shape, random_state=0)
    v, s, depth = shape["n_symbols"], shape["branching"], shape["depth"]
    assert (X.reshape(300, s**depth, v) == 1).sum(axis=2).tolist() == [[1] * s**depth] * 300
    n_hidden = v * sum(s ** (depth - level) for level in range(1, depth))
    assert Y.shape == (300, n_hidden + shape["n_classes"])
    assert (Y[:, :n_hidden].reshape(300, -1, v).sum(axis=2) == 1).all()
    assert (Y[:, n_hidden:].sum(axis=1) == 1).all()
    assert model.label_names[-shape["n_classes"] :] == [f"class_{c}" for c in range(shape["n_classes"])]


def test_each_tuple_has_one_meaning_and_each_symbol_its_number_of_synonyms():
    X, Y, _ = make_random_hierarchy(3000, 4, 4, 3, 2, 2, random_state=1)
    string = X.reshape(3000, 4, 4).argmax(axis=2)
    hidden = Y[:, :8].reshape(3000, 2, 4).argmax(axis=2)
    classes = Y[:, 8:].argmax(axis=1)[:, None]
    for below, above in ((string, hidden), (hidden, classes)):
        found = meanings(below, above)
        assert all(len(symbols) == 1 for symbols in found.values())
        counts = np.bincount([symbols.copy().pop() for symbols in found.values()])
        assert counts.max() == 3
    assert np.bincount(classes.ravel()).min() > 600  # uniform: 750 each, standard deviation 24


def test_polynomials_are_odd_whole_numbers_on_the_whole_cube():
    _, _, model = make_random_hierarchy(1, 3, 3, 3, 2, 2, random_state=2)
    cube = hypercube(6)
    for f in model.functions:
        values = f.function.polynomial(cube)
        assert (values % 2 == 1).all()
        assert values.min() == -1


def test_certificate_has_the_depth_and_degree_of_the_grammar():
    X, _, model = make_random_hierarchy(50, 4, 4, 2, 2, 3, random_state=3)
    certificate = model.certify(X)
    assert (certificate.r, certificate.K, certificate.reads_inputs_above_level_one) == (3, 2, ())


def test_names_tell_level_position_and_symbol():
    _, _, model = make_random_hierarchy(1, 2, 3, 2, 2, 2, random_state=0)
    assert model.input_names[-1] == "pos3_symbol2"
    assert model.label_names[5] == "level1_pos1_symbol2"
    assert model.parents("level1_pos1_symbol2") == [f"pos{p}_symbol{a}" for p in (2, 3) for a in range(3)]


def test_grammar_does_not_depend_on_the_number_of_samples():
    few, many = (make_random_hierarchy(n, random_state=4)[2] for n in (1, 100))
    for f, g in zip(few.functions, many.functions, strict=True):
        assert f.parents == g.parents
        np.testing.assert_array_equal(f.function.polynomial.exponents, g.function.polynomial.exponents)


def test_seed_reproduces():
    first, again, other = (make_random_hierarchy(40, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_symbols": 4, "n_synonyms": 5}, "n_synonyms must be at most 4, .*16 tuples, however: n_synonyms=5"),
        ({"n_classes": 17, "n_synonyms": 1}, "n_synonyms must be at most 0, as 17"),
        ({"branching": 1}, "branching must be a whole number of at least 2, however: branching=1"),
        ({"depth": 0}, "depth must be a whole number of at least 1, however: depth=0"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_random_hierarchy(**parameters)
