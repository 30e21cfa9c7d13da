import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning

from rungwise.preprocessing.targets import read_label_matrix, read_targets, read_weights

SIGNS = np.array([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
BITS = (SIGNS > 0).astype(int)
NA = np.array([[1.0, np.nan], [-1.0, -1.0], [1.0, 1.0]])

COMPLETE = {
    "0 and 1": BITS,
    "floats": BITS.astype(float),
    "-1 and 1": SIGNS.astype(int),
    "booleans": BITS.astype(bool),
    "lists": BITS.tolist(),
    "sparse": scipy.sparse.csr_array(BITS),
    "pandas": pd.DataFrame(BITS, columns=["a", "b"]),
    "nullable pandas": pd.DataFrame(BITS, columns=["a", "b"]).astype("Int64"),
    "boolean pandas": pd.DataFrame(BITS, columns=["a", "b"]).astype("boolean"),
    "polars": pl.DataFrame({"a": BITS[:, 0], "b": BITS[:, 1]}),
}
PARTIAL = {
    "floats": np.where(np.isnan(NA), np.nan, NA > 0),
    "signs": NA,
    "objects": np.array([[1, None], [0, 0], [1, 1]], dtype=object),
    "objects with NA": np.array([[1, pd.NA], [0, 0], [1, 1]], dtype=object),
    "pandas": pd.DataFrame(NA, columns=["a", "b"]),
    "nullable pandas": pd.DataFrame({"a": [1, 0, 1], "b": [None, 0, 1]}).astype("Int64"),
    "boolean pandas": pd.DataFrame({"a": [True, False, True], "b": [None, False, True]}).astype("boolean"),
    "polars": pl.DataFrame({"a": [1, 0, 1], "b": [None, 0, 1]}),
}


@pytest.mark.parametrize("form", COMPLETE)
def test_every_form_of_a_complete_matrix_is_read(form):
    targets, coding = read_targets(COMPLETE[form])
    np.testing.assert_array_equal(targets, SIGNS)
    assert coding.kind == "multilabel"
    assert coding.names == (("a", "b") if "pandas" in form or form == "polars" else ("label_0", "label_1"))


@pytest.mark.parametrize("form", PARTIAL)
def test_every_kind_of_missing_value_is_not_annotated(form):
    np.testing.assert_array_equal(read_targets(PARTIAL[form])[0], NA)


@pytest.mark.parametrize("form", COMPLETE)
def test_label_matrix_of_complete_labels_is_0_and_1(form):
    np.testing.assert_array_equal(read_label_matrix(COMPLETE[form]), BITS)


@pytest.mark.parametrize("form", PARTIAL)
def test_label_matrix_has_nan_where_a_label_is_not_annotated(form):
    np.testing.assert_array_equal(read_label_matrix(PARTIAL[form]), np.where(np.isnan(NA), np.nan, NA > 0))


def test_label_matrix_may_have_labels_without_annotation():
    np.testing.assert_array_equal(read_label_matrix([[np.nan, 1], [np.nan, -1]]), [[np.nan, 1], [np.nan, 0]])


@pytest.mark.parametrize("form", ["0 and 1", "-1 and 1", "booleans"])
def test_decoding_gives_labels_as_they_were_written(form):
    targets, coding = read_targets(COMPLETE[form])
    decoded = coding.decode(3 * targets)
    np.testing.assert_array_equal(decoded, COMPLETE[form])
    assert decoded.dtype.kind == COMPLETE[form].dtype.kind


@pytest.mark.parametrize("classes", [["no", "yes"], [0, 1], [-1, 1], [3, 7], [False, True]])
def test_one_column_of_two_classes(classes):
    y = np.array(classes)[[1, 0, 0, 1]]
    targets, coding = read_targets(y)
    np.testing.assert_array_equal(targets, [[1], [-1], [-1], [1]])
    assert (coding.kind, coding.names) == ("binary", (str(y[0]),))
    np.testing.assert_array_equal(coding.decode(targets), y)


@pytest.mark.parametrize("y", [["b", "c", "a", "b"], [5, 9, 2, 5]])
def test_one_column_of_several_classes(y):
    targets, coding = read_targets(y)
    np.testing.assert_array_equal(targets, [[-1, 1, -1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1]])
    assert coding.kind == "multiclass"
    assert coding.decode(targets).tolist() == y


def test_matrix_of_one_label_stays_a_matrix():
    targets, coding = read_targets(BITS[:, :1])
    assert coding.kind == "multilabel"
    assert coding.decode(targets).shape == (3, 1)


def test_column_of_several_classes_is_read_with_a_warning():
    with pytest.warns(DataConversionWarning, match="ravel"):
        targets, coding = read_targets(np.array([[0], [1], [2]]))
    assert coding.kind == "multiclass"
    assert targets.shape == (3, 3)


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (None, "target y is None"),
        (np.array([[0.5, 1], [0, 1]]), r"label 'label_0' has \[0.5\]"),
        (np.array([[0, 1], [0, 2]]), r"label 'label_1' has \[2.0\]"),
        (np.array([[0, 1], [-1, 1]]), "give each class a column of its own"),
        (np.array([["yes", "no"], ["no", "no"]]), "only a 1-D y may hold class names"),
        (pd.DataFrame({"a": ["yes", "no"], "b": [0, 1]}), "label 'a' must hold 0 and 1"),
        (pd.DataFrame([[0, 1], [1, 0]], columns=["a", "a"]), r"must be distinct, however: \['a'\]"),
        (np.empty((3, 0)), "at least 1 label"),
        (np.array([[0, np.nan], [1, np.nan]]), r"no annotation at all; drop them from Y: \['label_1'\]"),
        (np.zeros((2, 2, 2)), r"\(2, 2, 2\)"),
        (np.array([1, 1, 1]), "at least 2 classes"),
        (np.array([0.0, 1.0, np.nan]), "NaN"),
    ],
)
def test_what_cannot_be_read_is_refused(Y, message):
    with pytest.raises(ValueError, match=message):
        read_targets(Y)


def test_weights_are_zero_where_a_label_is_not_annotated():
    annotated = ~np.isnan(NA)
    np.testing.assert_array_equal(read_weights(None, annotated), [[1, 0], [1, 1], [1, 1]])
    np.testing.assert_array_equal(read_weights([1, 3, 0], annotated), [[1, 0], [3, 3], [0, 0]])
    matrix = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(read_weights(matrix, annotated), [[0, 0], [1, 1.5], [2, 2.5]])


@pytest.mark.parametrize("scale", [1e-300, 1 / 3, 1.0, 7.0, 1e300])
def test_weights_are_in_units_of_the_smallest_whatever_their_scale(scale):
    annotated = np.ones((4, 2), dtype=bool)
    expected = np.array([[1.0, 1.0], [1.0, 1.0], [2.5, 2.5], [0.0, 0.0]])
    np.testing.assert_allclose(read_weights(scale * np.array([1, 1, 2.5, 0]), annotated), expected)


def test_few_rows_of_next_to_no_weight_do_not_set_the_unit():
    weights = read_weights(np.r_[1e-9, np.full(150, 0.5)], np.ones((151, 1), dtype=bool))
    np.testing.assert_allclose(weights[:, 0], np.r_[2e-9, np.ones(150)])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "must not be negative, however: its smallest value is -1.0"),
        ([1, np.nan, 1], "NaN"),
        ([1, np.inf, 1], "infinity"),
        ([1, 1], r"must have shape \(3,\) or \(3, 2\), however: \(2,\)"),
        (np.ones((3, 1)), r"however: \(3, 1\)"),
        ([0, 0, 0], "give some example a positive weight"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        read_weights(weights, ~np.isnan(NA))
