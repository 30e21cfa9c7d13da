import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from rungwise.preprocessing.scaling import CLIP, Standardizer

NAN = np.nan
# Half precision keeps different values well apart: whether a column counts as constant is then no matter of rounding.
halves = st.floats(-60_000, 60_000, width=16, allow_subnormal=False)
entries = st.one_of(st.just(NAN), st.integers(-3, 3).map(float), halves)
weighted_tables = st.tuples(st.integers(1, 8), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(np.float64, shape, elements=entries),
        arrays(np.int64, shape[0], elements=st.integers(0, 3)).filter(lambda weight: weight.sum() > 0),
    )
)


def assert_same(one, other):
    np.testing.assert_array_equal(one.indicator_columns_, other.indicator_columns_)
    np.testing.assert_allclose(one.mean_, other.mean_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.scale_, other.scale_, rtol=1e-6, atol=1e-9)


@given(weighted_tables)
def test_weight_is_the_row_repeated_and_weight_zero_the_row_absent(table):
    X, weight = table
    assert_same(Standardizer().fit(X, weight.astype(float)), Standardizer().fit(np.repeat(X, weight, axis=0)))


@given(weighted_tables)
def test_output_is_bounded_and_never_missing(table):
    X, weight = table
    standardizer = Standardizer().fit(X, weight)
    output = standardizer.transform(X)
    assert output.shape == (len(X), standardizer.n_outputs)
    assert output.dtype == np.float64
    assert (np.abs(output) <= CLIP).all()


@given(weighted_tables)
def test_training_rows_have_mean_zero_and_variance_one_or_zero(table):
    X, _ = table
    standardizer = Standardizer().fit(X)
    output = standardizer.transform(X)[:, : X.shape[1]]
    present = ~np.isnan(X)
    # With at most 8 rows nothing is farther out than sqrt(7) standard deviations: no entry is clipped.
    for column, here in zip(output.T, present.T, strict=True):
        values = column[here] if here.any() else np.zeros(1)
        assert abs(values.mean()) < 1e-6
        assert values.var() == pytest.approx(1, abs=1e-6) or (values == 0).all()


def test_complete_columns_are_those_of_scikit_learn():
    X = np.random.default_rng(0).normal(3, [1, 100, 1e-3], size=(50, 3))
    weight = np.random.default_rng(1).uniform(0.1, 2, size=50)
    expected = StandardScaler().fit(X, sample_weight=weight).transform(X)
    np.testing.assert_allclose(Standardizer().fit(X, weight).transform(X), expected, rtol=1e-9)


def test_missing_becomes_the_mean_and_an_indicator():
    X = np.array([[1.0, NAN, 0.0], [3.0, 5.0, NAN], [NAN, 7.0, 2.0]])
    standardizer = Standardizer().fit(X)
    assert standardizer.n_outputs == 6
    assert standardizer.source.dtype == np.int64
    np.testing.assert_array_equal(standardizer.source, [0, 1, 2, 0, 1, 2])
    np.testing.assert_allclose(
        standardizer.transform(X), [[-1, 0, -1, -1, 1, -1], [1, -1, 0, -1, -1, 1], [0, 1, 1, 1, -1, -1]]
    )


def test_columns_that_are_missing_together_share_an_indicator():
    X = np.array([[NAN, 1.0, NAN, NAN], [0.0, 2.0, 1.0, 5.0], [1.0, 3.0, 0.0, NAN]])
    standardizer = Standardizer().fit(X)
    np.testing.assert_array_equal(standardizer.source, [0, 1, 2, 3, 0, 3])


def test_column_missing_throughout_is_zero_without_indicator():
    standardizer = Standardizer().fit(np.array([[NAN, 1.0], [NAN, 3.0]]))
    np.testing.assert_array_equal(standardizer.source, [0, 1])
    np.testing.assert_array_equal(standardizer.transform(np.array([[NAN, 1.0], [99.0, 3.0]])), [[0, -1], [0, 1]])


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-300, 1e300, 1.7e9])
def test_constant_column_is_zero_whatever_comes_later(constant):
    standardizer = Standardizer().fit(np.full((7, 1), constant))
    np.testing.assert_array_equal(standardizer.transform(np.array([[constant], [constant + 1], [NAN]])), 0)


def test_missing_values_first_seen_later_are_the_mean():
    standardizer = Standardizer().fit(np.array([[1.0], [3.0]]))
    np.testing.assert_array_equal(standardizer.transform(np.array([[NAN], [2.0]])), [[0], [0]])


def test_outlier_is_clipped():
    X = np.zeros((1000, 1))
    X[0] = 1e9
    output = Standardizer().fit(X).transform(X)
    assert output[0] == CLIP
    assert (output[1:] > -0.1).all()


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1e30, 1e300])
def test_unit_of_a_column_does_not_matter(unit):
    X = np.array([[1.0], [2.0], [4.0]])
    expected = Standardizer().fit(X).transform(X)
    np.testing.assert_allclose(Standardizer().fit(unit * X).transform(unit * X), expected, rtol=1e-9)


def test_missing_value_in_a_row_of_weight_zero_makes_no_indicator():
    X = np.array([[1.0], [3.0], [NAN]])
    assert Standardizer().fit(X, np.array([1.0, 1.0, 0.0])).n_outputs == 1


def test_input_is_not_changed():
    X = np.array([[1.0, NAN], [3.0, 2.0]])
    before = X.copy()
    Standardizer().fit(X).transform(X)
    np.testing.assert_array_equal(X, before)


def test_state_survives_as_arrays():
    X = np.array([[1.0, NAN, 2.0], [3.0, 2.0, 2.0]])
    standardizer = Standardizer().fit(X)
    tensors = standardizer.to_tensors()
    again = Standardizer.from_tensors(tensors)
    assert {name: array.dtype for name, array in tensors.items()} == {
        "mean": np.float64,
        "scale": np.float64,
        "indicator_columns": np.int64,
    }
    np.testing.assert_array_equal(again.transform(X), standardizer.transform(X))
    np.testing.assert_array_equal(again.source, standardizer.source)


def test_no_row_of_positive_weight_is_refused():
    with pytest.raises(ValueError, match="at least one row of positive weight, however: it has none"):
        Standardizer().fit(np.ones((2, 1)), np.zeros(2))
