"""Data frames into numbers: `TableEncoder` turns a pandas or polars table into a float64 matrix, NaN where missing.

Its state is plain data (`to_dict`), so that it is stored in the model file and needs neither library's pickles.
"""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

# A column of free text or of identifiers would otherwise add one input per row; with 64, the rare categories that
# share a column have at most 1/65 of the rows each.
MAX_CATEGORIES = 64
OTHER = "(other)"

# What a column was found to hold, with the words that errors use for it.
KINDS = {
    "number": "numbers",
    "date": "dates",
    "duration": "durations",
    "text": "text",
    "empty": "no value at all",
}


@dataclass(frozen=True)
class Column:
    """How one column of the table is read.

    Parameters
    ----------
    name : str
    kind : {"number", "date", "duration", "text", "empty"}
    categories : tuple of str
        Of a text column, in sorted order: one output each.
    has_other : bool
        Whether a last output stands for every other category.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    has_other: bool = False

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in order."""
        if self.kind != "text":
            return [self.name]
        return [f"{self.name}={value}" for value in (*self.categories, *([OTHER] if self.has_other else []))]


class TableEncoder:
    """Turn a data frame into a float64 matrix, with NaN for missing values.

    - Numbers and booleans pass through, false as 0 and true as 1.
    - Dates and datetimes become seconds since 1970-01-01 (UTC where no time zone is given), durations become seconds.
    - Text and categorical columns become one column of 0 and 1 per category, named "column=value", in sorted order.
      Beyond the 64 most frequent categories the rest share "column=(other)". A category that was not there in
      training is such an other; where there is no other, all columns are 0. A missing value is NaN in all of them.
    - A column without any value in training stays NaN whatever comes: nothing was learned from it.

    Attributes
    ----------
    input_names : list of str
        The columns of the table in training.
    output_names : list of str
        The columns of the matrix.
    source : list of int
        For every column of the matrix, the index in ``input_names`` of the column that it came from.
    text_columns : list of str
        The columns of the table that held text or categories in training.

    Examples
    --------
    >>> frame = pd.DataFrame({"age": [31, None], "eye": ["blue", "brown"]})
    >>> encoder = TableEncoder().fit(frame)
    >>> encoder.output_names
    ['age', 'eye=blue', 'eye=brown']
    >>> encoder.transform(frame)
    array([[31.,  1.,  0.],
           [nan,  0.,  1.]])
    """

    def __init__(self) -> None:
        self._columns: tuple[Column, ...] = ()

    @property
    def input_names(self) -> list[str]:
        """Names of the table's columns in training."""
        return [column.name for column in self._columns]

    @property
    def output_names(self) -> list[str]:
        """Names of the matrix's columns."""
        return [name for column in self._columns for name in column.output_names]

    @property
    def text_columns(self) -> list[str]:
        """Names of the table's columns that held text: whoever reads such a table from CSV must keep "007" as it is."""
        return [column.name for column in self._columns if column.kind == "text"]

    @property
    def columns_only_in_frames(self) -> list[str]:
        """Names of the table's columns whose numbers are made here: an array cannot stand for such a table."""
        return [column.name for column in self._columns if column.kind not in ("number", "empty")]

    @property
    def source(self) -> list[int]:
        """For every column of the matrix, the index of the table's column that it came from."""
        return [i for i, column in enumerate(self._columns) for _ in column.output_names]

    def fit(self, frame: Any) -> "TableEncoder":
        """Find out what each column holds.

        Parameters
        ----------
        frame : pandas or polars DataFrame of shape (n, n_columns)

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        ValueError
            If the table has no column, two columns of one name, or an infinite number.
        TypeError
            If it is no data frame, or a column is of a type that has no reading as numbers or text.
        """
        table = _columns_by_name(frame)
        if not table:
            raise ValueError("the table must have at least one column of features, however: it has 0 columns")
        self._columns = tuple(_learn(name, series) for name, series in table.items())
        repeated = [name for name, count in Counter(self.output_names).items() if count > 1]
        if repeated:
            raise ValueError(
                f"every column of the encoded table must have a name of its own, however: {_listing(repeated)} would "
                f"come from two columns; rename one of them"
            )
        return self

    def transform(self, frame: Any) -> np.ndarray:
        """Return the table as numbers. Columns are found by name; others than those of training are ignored.

        Parameters
        ----------
        frame : pandas or polars DataFrame of shape (n, at least n_columns)

        Returns
        -------
        ndarray of shape (n, n_outputs), float64

        Raises
        ------
        ValueError
            If a column of training is missing, holds another kind of value than in training, or an infinite number.
        TypeError
            If it is no data frame, or a column is of a type that has no reading as numbers or text.
        """
        if not self._columns:
            raise NotFittedError("this TableEncoder has not seen a table yet; call fit first")
        table = _columns_by_name(frame)
        missing = [name for name in self.input_names if name not in table]
        if missing:
            raise ValueError(
                f"the table must have the columns that the model was trained on, however: {_listing(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing; add or rename columns of the table"
            )
        return np.hstack([_encode(column, table[column.name]) for column in self._columns])

    def to_dict(self) -> dict[str, Any]:
        """Return the state as data that JSON can hold."""
        return {"columns": [asdict(column) | {"categories": list(column.categories)} for column in self._columns]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "TableEncoder":
        """Return the encoder of which `to_dict` gave the state; ValueError if it is not such a state."""
        encoder = cls()
        try:
            columns = [Column(**column | {"categories": tuple(column["categories"])}) for column in state["columns"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"a table encoder's state must be what to_dict returns, however: {error}") from error
        unknown = [column.kind for column in columns if column.kind not in KINDS]
        if unknown:
            raise ValueError(f"the kind of a column must be one of {', '.join(KINDS)}, however: {unknown[0]!r}")
        encoder._columns = tuple(columns)
        return encoder


def is_frame(X: Any) -> bool:
    """Return whether X is a pandas or polars DataFrame: what a `TableEncoder` reads."""
    return bool(nw.dependencies.is_pandas_dataframe(X) or nw.dependencies.is_polars_dataframe(X))


def _columns_by_name(frame: Any) -> dict[str, nw.Series[Any]]:
    """Return the columns; names are made text, because pandas also allows numbers."""
    if not is_frame(frame):
        raise TypeError(
            f"the table must be a pandas or polars DataFrame, however: {type(frame).__name__}; call .collect() on a "
            f"LazyFrame, or wrap an array as pandas.DataFrame(array)"
        )
    names = [str(name) for name in frame.columns]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"column names must differ, however: {_listing(repeated)} occurs twice; rename or drop one")
    return dict(zip(names, nw.from_native(frame, eager_only=True).iter_columns(), strict=True))


def _learn(name: str, series: nw.Series[Any]) -> Column:
    """Return how the column is to be read."""
    kind, values = _read(name, series)
    if kind != "text":
        return Column(name, kind)
    counts = Counter(value for value in values if value is not None)
    # Ties go to the category that sorts first, so that the order of the rows does not matter.
    most_frequent = sorted(counts, key=lambda value: (-counts[value], value))[:MAX_CATEGORIES]
    return Column(name, kind, tuple(sorted(most_frequent)), has_other=len(counts) > MAX_CATEGORIES)


def _encode(column: Column, series: nw.Series[Any]) -> np.ndarray:
    """Return the column's outputs, (n, n_outputs)."""
    blank = np.full((len(series), len(column.output_names)), np.nan)
    if column.kind == "empty":
        return blank
    kind, values = _read(column.name, series)
    if kind == "empty":
        return blank
    if column.kind == "text" and kind == "number":
        # A CSV file whose cells happen to be numbers alone, where the one used in training also held words.
        kind, values = "text", _as_text(series.to_list())
    if kind != column.kind:
        raise ValueError(
            f"column {column.name!r} must hold {KINDS[column.kind]} as in training, however: it holds {KINDS[kind]}, "
            f"such as {next(value for value in series.to_list() if not pd.isna(value))!r}; convert the column"
        )
    if kind != "text":
        return values[:, None]
    codes = pd.Index(column.categories, dtype=object).get_indexer(values)  # -1: unseen, or missing
    # With a column for others, it is the last one, and the index -1 points at it already.
    known = slice(None) if column.has_other else codes >= 0
    one_hot = np.zeros_like(blank)
    one_hot[np.arange(len(codes))[known], codes[known]] = 1
    one_hot[pd.isna(values)] = np.nan
    return one_hot


def _read(name: str, series: nw.Series[Any]) -> tuple[str, np.ndarray]:
    """Return the kind, and the values: float64 with NaN, or for text objects that are str or None; shape (n,)."""
    if series.null_count() == len(series):
        return "empty", np.full(len(series), np.nan)
    dtype = series.dtype
    if isinstance(dtype, nw.String | nw.Categorical | nw.Enum):
        return "text", _as_text(series.to_list())
    if dtype.is_numeric() or isinstance(dtype, nw.Boolean):
        return _numbers(name, series.cast(nw.Float64).to_numpy())
    if isinstance(dtype, nw.Date | nw.Datetime):
        return "date", series.dt.timestamp("us").cast(nw.Float64).to_numpy() / 1e6
    if isinstance(dtype, nw.Duration):
        return "duration", series.dt.total_microseconds().cast(nw.Float64).to_numpy() / 1e6
    if isinstance(dtype, nw.Object):
        return _read_objects(name, series.to_list())
    raise _unreadable(name, _native_dtype(series))


def _read_objects(name: str, values: Sequence[Any]) -> tuple[str, np.ndarray]:
    """Return kind and values of a column of Python objects, which must all be of one kind."""
    objects = pd.Series(values, dtype=object)
    present = objects[objects.notna()]
    types = set(map(type, present))
    if all(issubclass(t, str) for t in types):
        return "text", _as_text(values)
    if all(issubclass(t, Real | Decimal | np.bool_) for t in types):
        numbers = np.full(len(objects), np.nan)
        numbers[objects.notna()] = present.astype(float)
        return _numbers(name, numbers)
    if all(issubclass(t, datetime.date) for t in types):
        return _read(name, nw.from_native(pd.to_datetime(objects, utc=True), series_only=True))
    if all(issubclass(t, datetime.timedelta) for t in types):
        return _read(name, nw.from_native(pd.to_timedelta(objects), series_only=True))
    raise _unreadable(name, f"object, with values of type {', '.join(sorted(t.__name__ for t in types))}")


def _numbers(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the numbers with their kind; in polars a column may be NaN throughout without a null."""
    if np.isinf(values).any():
        raise ValueError(
            f"column {name!r} must hold finite numbers, however: {values[np.isinf(values)][0]}; use a missing value "
            f"or a bound instead"
        )
    return ("empty" if np.isnan(values).all() else "number"), values


def _as_text(values: Sequence[Any]) -> np.ndarray:
    """Return every value as str, or None where missing; each distinct value is converted once."""
    codes, distinct = pd.factorize(pd.Series(values, dtype=object))
    texts = [*map(_text, distinct), None]  # the code of a missing value is -1: the last
    return np.array(texts, dtype=object)[codes]


def _text(value: Any) -> str:
    """Return a category's text. Whole numbers lose their ".0": pandas reads integers as floats beside missing cells."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _native_dtype(series: nw.Series[Any]) -> str:
    return str(series.to_native().dtype)


def _unreadable(name: str, dtype: str) -> TypeError:
    return TypeError(
        f"column {name!r} must hold numbers, booleans, text, categories, dates or durations, however: its dtype is "
        f"{dtype}; convert it to one of these, or drop it"
    )


def _listing(names: Sequence[str], most: int = 10) -> str:
    """Return the names in quotes, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
