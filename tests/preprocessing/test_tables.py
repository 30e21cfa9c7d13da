import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from rungwise.preprocessing.tables import MAX_CATEGORIES, TableEncoder, is_frame

DAY = 86_400.0
VALUES = {
    "age": [31, None, 47],
    "dose": [0.5, 1.5, None],
    "smoker": [True, None, False],
    "eye": ["brown", None, "blue"],
    "visit": [datetime.datetime(1970, 1, 2), None, datetime.datetime(1970, 1, 1, 0, 0, 0, 500_000)],
    "stay": [datetime.timedelta(days=2), None, datetime.timedelta(hours=1)],
    "blank": [None, None, None],
}
OUTPUT_NAMES = ["age", "dose", "smoker", "eye=blue", "eye=brown", "visit", "stay", "blank"]
NAN = np.nan
MATRIX = [
    [31, 0.5, 1, 0, 1, DAY, 2 * DAY, NAN],
    [NAN, 1.5, NAN, NAN, NAN, NAN, NAN, NAN],
    [47, NAN, 0, 1, 0, 0.5, 3600, NAN],
]


def pandas_frame(values):
    return pd.DataFrame(values)


def object_frame(values):
    return pd.DataFrame(values, dtype=object)


def nullable_frame(values):
    return pd.DataFrame(values).convert_dtypes()


def arrow_frame(values):
    return pd.DataFrame(values).convert_dtypes(dtype_backend="pyarrow")


def polars_frame(values):
    return pl.DataFrame(values)


LIBRARIES = pytest.mark.parametrize(
    "make_frame", [pandas_frame, object_frame, nullable_frame, arrow_frame, polars_frame]
)


@LIBRARIES
def test_every_kind_of_column_becomes_numbers(make_frame):
    encoder = TableEncoder().fit(make_frame(VALUES))
    assert encoder.input_names == list(VALUES)
    assert encoder.output_names == OUTPUT_NAMES
    assert encoder.source == [0, 1, 2, 3, 3, 4, 5, 6]
    assert encoder.text_columns == ["eye"]
    matrix = encoder.transform(make_frame(VALUES))
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, MATRIX)


@LIBRARIES
def test_state_survives_json(make_frame):
    encoder = TableEncoder().fit(make_frame(VALUES))
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.to_dict() == encoder.to_dict()
    assert again.output_names == encoder.output_names
    np.testing.assert_array_equal(again.transform(make_frame(VALUES)), MATRIX)


@LIBRARIES
def test_columns_are_found_by_name_and_extra_ones_ignored(make_frame):
    encoder = TableEncoder().fit(make_frame(VALUES))
    shuffled = {"extra": ["x", "y", "z"], **dict(reversed(VALUES.items()))}
    np.testing.assert_array_equal(encoder.transform(make_frame(shuffled)), MATRIX)


@LIBRARIES
def test_missing_columns_are_named(make_frame):
    encoder = TableEncoder().fit(make_frame(VALUES))
    renamed = {("Age" if name == "age" else name): values for name, values in VALUES.items() if name != "eye"}
    with pytest.raises(ValueError, match=r"however: 'age', 'eye' are missing; add or rename"):
        encoder.transform(make_frame(renamed))


@LIBRARIES
def test_unseen_category_is_zero_everywhere_and_missing_is_nan(make_frame):
    encoder = TableEncoder().fit(make_frame({"eye": ["brown", "blue", "blue"]}))
    matrix = encoder.transform(make_frame({"eye": ["green", None, "blue"]}))
    np.testing.assert_array_equal(matrix, [[0, 0], [NAN, NAN], [1, 0]])


@LIBRARIES
def test_rare_categories_share_a_column(make_frame):
    names = [f"c{i:03d}" for i in range(MAX_CATEGORIES + 2)]
    # c000 and c001 are rarest: once; every other category occurs twice.
    encoder = TableEncoder().fit(make_frame({"code": [*names, *names[2:]]}))
    assert encoder.output_names == [*(f"code={name}" for name in names[2:]), "code=(other)"]
    matrix = encoder.transform(make_frame({"code": ["c000", "never seen", "c002", None]}))
    np.testing.assert_array_equal(matrix[:2, :-1], 0)
    np.testing.assert_array_equal(matrix[:2, -1], 1)
    np.testing.assert_array_equal(matrix[2], np.eye(MAX_CATEGORIES + 1)[0])
    assert np.isnan(matrix[3]).all()


def test_as_many_categories_as_allowed_need_no_other():
    encoder = TableEncoder().fit(pd.DataFrame({"code": [f"c{i}" for i in range(MAX_CATEGORIES)]}))
    assert len(encoder.output_names) == MAX_CATEGORIES
    assert "code=(other)" not in encoder.output_names


@given(
    train=st.lists(st.text(max_size=2), min_size=1, max_size=20),
    test=st.lists(st.text(max_size=2), min_size=1, max_size=20),
)
def test_one_hot_is_that_of_scikit_learn(train, test):
    oracle = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    oracle.fit(np.array(train, dtype=object)[:, None])
    expected = oracle.transform(np.array(test, dtype=object)[:, None])
    for make_frame in (object_frame, polars_frame):
        encoder = TableEncoder().fit(make_frame({"a": train}))
        assert encoder.output_names == [f"a={category}" for category in oracle.categories_[0]]
        np.testing.assert_array_equal(encoder.transform(make_frame({"a": test})), expected)


@pytest.mark.parametrize("rows", [[2, 0, 1], [0, 0, 1, 2, 2]])
def test_categories_do_not_depend_on_the_order_of_rows(rows):
    frame = pd.DataFrame({"eye": ["b", "c", "a"]})
    assert TableEncoder().fit(frame.iloc[rows]).to_dict() == TableEncoder().fit(frame).to_dict()


def test_categorical_columns_of_any_value_are_one_hot():
    frame = pd.DataFrame({"stage": pd.Categorical([3, None, 1]), "flag": pd.Categorical([True, False, True])})
    encoder = TableEncoder().fit(frame)
    assert encoder.output_names == ["stage=1", "stage=3", "flag=False", "flag=True"]
    np.testing.assert_array_equal(encoder.transform(frame), [[0, 1, 0, 1], [NAN, NAN, 1, 0], [1, 0, 0, 1]])


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b", "never"])])
def test_polars_categories_are_those_that_occur(dtype):
    frame = pl.DataFrame({"x": pl.Series(["b", None, "a"], dtype=dtype)})
    encoder = TableEncoder().fit(frame)
    assert encoder.output_names == ["x=a", "x=b"]
    np.testing.assert_array_equal(encoder.transform(frame), [[0, 1], [NAN, NAN], [1, 0]])


def test_dates_decimals_and_time_zones():
    zone = datetime.timezone(datetime.timedelta(hours=1))
    objects = pd.DataFrame(
        {
            "day": pd.Series([datetime.date(1970, 1, 2), None], dtype=object),
            "price": pd.Series([Decimal("1.25"), None], dtype=object),
            "at": pd.to_datetime([datetime.datetime(1970, 1, 1, 1, tzinfo=zone), None]),
        }
    )
    natives = pl.DataFrame(
        {
            "day": [datetime.date(1970, 1, 2), None],
            "price": pl.Series([Decimal("1.25"), None], dtype=pl.Decimal(10, 2)),
            "at": pl.Series([datetime.datetime(1970, 1, 1), None], dtype=pl.Datetime("ms", "UTC")),
        }
    )
    for frame in (objects, natives):
        matrix = TableEncoder().fit(frame).transform(frame)
        np.testing.assert_array_equal(matrix, [[DAY, 1.25, 0], [NAN, NAN, NAN]])


def test_tables_of_both_libraries_are_exchangeable():
    encoder = TableEncoder().fit(pl.DataFrame(VALUES))
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame(VALUES)), MATRIX)


@LIBRARIES
def test_column_without_a_value_in_training_stays_missing(make_frame):
    encoder = TableEncoder().fit(make_frame({"a": [None, None], "b": [1, 2]}))
    for later in (["x", "y"], [1.5, None], [None, None]):
        matrix = encoder.transform(make_frame({"a": later, "b": [1, 2]}))
        np.testing.assert_array_equal(matrix, [[NAN, 1], [NAN, 2]])


@LIBRARIES
def test_column_without_a_value_at_transform_is_missing(make_frame):
    encoder = TableEncoder().fit(make_frame(VALUES))
    nothing = {name: [None, None] for name in VALUES}
    np.testing.assert_array_equal(encoder.transform(make_frame(nothing)), np.full((2, 8), NAN))


@LIBRARIES
def test_numbers_where_training_had_text_are_read_as_text(make_frame):
    encoder = TableEncoder().fit(make_frame({"code": ["1", "2", "x"]}))
    np.testing.assert_array_equal(encoder.transform(make_frame({"code": [2, 1]})), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(encoder.transform(make_frame({"code": [2.0, None]})), [[0, 1, 0], [NAN] * 3])


@LIBRARIES
def test_another_kind_of_value_than_in_training_is_refused(make_frame):
    encoder = TableEncoder().fit(make_frame({"age": [1, 2]}))
    with pytest.raises(
        ValueError, match="'age' must hold numbers as in training, however: it holds text, such as 'n/a'"
    ):
        encoder.transform(make_frame({"age": [None, "n/a"]}))


def test_numeric_names_of_pandas_are_read_as_text():
    frame = pd.DataFrame([[1.0, 2.0]])
    encoder = TableEncoder().fit(frame)
    assert encoder.output_names == ["0", "1"]
    np.testing.assert_array_equal(encoder.transform(frame), [[1, 2]])


@pytest.mark.parametrize(
    ("frame", "dtype"),
    [
        (pd.DataFrame({"a": [[1], [2]]}), "object, with values of type list"),
        (pd.DataFrame({"a": ["x", 1]}, dtype=object), "object, with values of type int, str"),
        (pd.DataFrame({"a": [1 + 2j, 3]}), "complex128"),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])}), r"Sparse\[int64, .*\]"),
        (pl.DataFrame({"a": [[1], [2]]}), r"List\(Int64\)"),
        (pl.DataFrame({"a": [{"b": 1}]}), "Struct"),
        (pl.DataFrame({"a": [b"x"]}), "Binary"),
        (pl.DataFrame({"a": [datetime.time(1)]}), "Time"),
    ],
)
def test_columns_without_a_reading_are_refused(frame, dtype):
    with pytest.raises(
        TypeError, match=f"column 'a' must hold numbers, .* however: its dtype is {dtype}.*; convert it"
    ):
        TableEncoder().fit(frame)


@LIBRARIES
def test_infinite_numbers_are_refused(make_frame):
    with pytest.raises(ValueError, match="column 'a' must hold finite numbers, however: -inf"):
        TableEncoder().fit(make_frame({"a": [1.0, -np.inf]}))


def test_nan_of_polars_is_missing():
    frame = pl.DataFrame({"a": [1.0, NAN, None], "b": [NAN, NAN, None]})
    encoder = TableEncoder().fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame), [[1, NAN], [NAN, NAN], [NAN, NAN]])
    np.testing.assert_array_equal(encoder.transform(pl.DataFrame({"a": [1], "b": ["x"]})), [[1, NAN]])


def test_equal_column_names_are_refused():
    with pytest.raises(ValueError, match="column names must differ, however: 'a' occurs twice"):
        TableEncoder().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_equal_names_after_encoding_are_refused():
    with pytest.raises(ValueError, match="'a=x' would come from two columns"):
        TableEncoder().fit(pd.DataFrame({"a": ["x"], "a=x": [1]}))


def test_table_without_columns_is_refused():
    with pytest.raises(ValueError, match="it has 0 columns"):
        TableEncoder().fit(pd.DataFrame(index=[0, 1]))


@pytest.mark.parametrize("other", [np.ones((2, 2)), pl.LazyFrame({"a": [1]}), {"a": [1]}])
def test_other_things_than_data_frames_are_refused(other):
    assert not is_frame(other)
    with pytest.raises(TypeError, match=r"must be a pandas or polars DataFrame, however: (ndarray|LazyFrame|dict)"):
        TableEncoder().fit(other)


def test_transform_needs_fit():
    with pytest.raises(ValueError, match="call fit first"):
        TableEncoder().transform(pd.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "must be what to_dict returns, however: 'columns'"),
        ({"columns": [{"name": "a"}]}, "must be what to_dict returns"),
        (
            {"columns": [{"name": "a", "kind": "tensor", "categories": []}]},
            "kind .* must be one of .*, however: 'tensor'",
        ),
    ],
)
def test_foreign_state_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder.from_dict(state)
