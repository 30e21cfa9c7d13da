import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rungwise.table_columns import label_values, match_columns, take_apart

NAN = np.nan
TABLE = pd.DataFrame(
    {"age": [30, 40], "site": ["n", "s"], "w": [1.0, 0.5], "note": ["?", "!"], "y_a": [0, 1], "y_b": [True, None]}
)


def test_every_column_has_one_use():
    parts = take_apart(TABLE, ["y_*"], drop=["note"], weight="w", group="site")
    assert list(parts.features) == ["age"]
    assert list(parts.labels) == ["y_a", "y_b"]
    np.testing.assert_array_equal(parts.labels, [[0, 1], [1, NAN]])
    np.testing.assert_array_equal(parts.weight, [1, 0.5])
    np.testing.assert_array_equal(parts.groups, ["n", "s"])


def test_weight_and_group_are_optional():
    parts = take_apart(TABLE, ["y_a", "y_b"])
    assert list(parts.features) == ["age", "site", "w", "note"]
    assert parts.weight is None
    assert parts.groups is None


def test_dropped_column_is_no_label():
    assert list(take_apart(TABLE, ["y_*"], drop=["y_b"]).labels) == ["y_a"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"labels": ["Y_*"]}, r"no column matches 'Y_\*'; the columns are 'age', 'site', 'w', 'note', 'y_a', 'y_b'"),
        ({"labels": ["y_aa"]}, "no column matches 'y_aa'; near names: 'y_a'"),
        ({"labels": ["y_*"], "drop": ["nope*"]}, r"no column matches 'nope\*'; near names: 'note'"),
        ({"labels": ["y_*"], "weight": "weight"}, "no column is named 'weight'"),
        ({"labels": ["y_*"], "group": "sites"}, "no column is named 'sites'; near names: 'site'"),
        ({"labels": ["y_*"], "drop": ["y_*"]}, "must be a label, however: .* matches only columns set aside"),
        ({"labels": ["y_*"], "drop": ["[answ]*"]}, "at least one column must be left as a feature"),
        ({"labels": ["age"]}, "label column 'age' must hold 0/1, .* however: it holds 30, 40; recode it"),
        ({"labels": ["y_*"], "weight": "age", "group": "gap"}, "no column is named 'gap'"),
        ({"labels": ["y_*"], "weight": "note"}, "weight column 'note' must hold numbers .* row 1 has '[?]'"),
    ],
)
def test_columns_that_cannot_be_used_so_are_named(chosen, message):
    with pytest.raises(ValueError, match=message):
        take_apart(TABLE, **chosen)


@pytest.mark.parametrize("wrong", [-1.0, NAN, np.inf])
def test_weights_must_be_non_negative_numbers(wrong):
    with pytest.raises(ValueError, match=f"weight column 'w' must hold numbers of at least 0 .* row 2 has {wrong}"):
        take_apart(TABLE.assign(w=[1.0, wrong]), ["y_*"], weight="w")


def test_every_row_needs_a_group():
    with pytest.raises(ValueError, match="group column 'site' must hold a value in every row, however: row 2 has none"):
        take_apart(TABLE.assign(site=["n", None]), ["y_*"], group="site")


def test_patterns_are_wildcards_and_names_are_names():
    names = ["b1", "a[1]", "a1", "A1", "a12"]
    assert match_columns(names, ["a[1]"]) == ["a[1]", "a1"]
    assert match_columns(names, ["a?", "b*"]) == ["b1", "a1"]
    assert match_columns(names, ["*"]) == names
    assert match_columns(names, []) == []


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([0, 1, None], None),
        ([0, 1, None], "Int64"),
        ([-1, 1, None], "float32"),
        ([False, True, None], object),
        ([False, True, None], "boolean"),
        ([False, True, None], "bool[pyarrow]"),
        (["false", "True", None], "str"),
        (["0", " TRUE", None], object),
        (["-1", "1.0", None], "category"),
        ([0, 1, None], "category"),
    ],
)
def test_annotations_are_read(cells, dtype):
    np.testing.assert_array_equal(label_values(pd.Series(cells, dtype=dtype)), [0, 1, NAN])


@given(st.lists(st.sampled_from([0, 1, None])) | st.lists(st.sampled_from([-1, 1, None])))
def test_each_cell_is_read_by_itself(cells):
    expected = [{0: 0, -1: 0, 1: 1, None: NAN}[cell] for cell in cells]
    np.testing.assert_array_equal(label_values(pd.Series(cells, dtype=object)), expected)


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ([0, 1, 2], "2"),
        ([0.5, 1, None], "0.5"),
        ([-1, 0, 1], "-1, 0, 1"),
        ([-1, 0], "-1, 0"),
        (["yes", "1", "no"], "'yes', 'no'"),
        ([1 + 0j, 1], r"\(1\+0j\)"),
        ([[1], [0]], r"\[1\]"),
        ([pd.Timestamp("1970-01-01")], "Timestamp.*"),
        (list("abcdefg"), "'a', 'b', 'c', 'd', 'e', …"),
    ],
)
def test_other_label_values_are_shown(cells, shown):
    with pytest.raises(
        ValueError, match=f"label column 'y' must hold 0/1, -1/1 or true/false, .* it holds {shown}; recode"
    ):
        label_values(pd.Series(cells, name="y"))


def test_label_without_annotation_is_left_to_the_estimator():
    assert np.isnan(label_values(pd.Series([None, None]))).all()
