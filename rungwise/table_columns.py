"""What the columns of a table are for: labels, features, weight and group, chosen by name or by pattern."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from numbers import Real

import numpy as np
import pandas as pd

# Label cells written as text; CSV files with a marker among the numbers are read as text throughout.
_LABEL_TEXTS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "-1": -1.0, "1.0": 1.0, "0.0": 0.0, "-1.0": -1.0}


@dataclass(frozen=True)
class TrainingTable:
    """A table taken apart.

    Parameters
    ----------
    features : DataFrame of shape (n, n_features)
    labels : DataFrame of shape (n, n_labels)
        Of 0, 1 and NaN where not annotated.
    weight : ndarray of shape (n,) or None
    groups : ndarray of shape (n,) or None
    """

    features: pd.DataFrame
    labels: pd.DataFrame
    weight: np.ndarray | None
    groups: np.ndarray | None


def take_apart(
    table: pd.DataFrame,
    labels: Sequence[str],
    drop: Sequence[str] = (),
    weight: str | None = None,
    group: str | None = None,
) -> TrainingTable:
    """Give every column its use: what is dropped or is weight or group is nothing else, what is no label is a feature.

    Parameters
    ----------
    table : DataFrame of shape (n, n_columns)
    labels, drop : sequences of str
        Patterns such as "verdict_*", see `match_columns`.
    weight, group : str or None
        Names of columns.

    Returns
    -------
    TrainingTable

    Raises
    ------
    ValueError
        If a pattern or name matches no column, nothing is left as label or as feature, or a label, weight or group
        has cells that cannot be one.
    """
    names = [str(name) for name in table.columns]
    table = table.set_axis(names, axis=1)
    for name in (weight, group):
        if name is not None and name not in names:
            raise ValueError(f"no column is named {name!r}; {_near(name, names)}")
    aside = {*match_columns(names, drop), weight, group}
    chosen = set(match_columns(names, labels))
    label_names = [name for name in names if name in chosen - aside]
    feature_names = [name for name in names if name not in chosen | aside]
    if not label_names:
        raise ValueError(f"at least one column must be a label, however: {list(labels)} matches only columns set aside")
    if not feature_names:
        raise ValueError("at least one column must be left as a feature, however: 0 are; use narrower label patterns")
    return TrainingTable(
        features=table[feature_names],
        labels=pd.DataFrame({name: label_values(table[name]) for name in label_names}),
        weight=None if weight is None else _weights(table[weight]),
        groups=None if group is None else _groups(table[group]),
    )


def match_columns(names: Sequence[str], patterns: Iterable[str]) -> list[str]:
    """Return the names that a pattern matches, in the order of the names.

    Parameters
    ----------
    names : sequence of str
    patterns : iterable of str
        A name, or a shell wildcard: * (anything), ? (one character), [abc] (one of these). Case counts.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If a pattern matches none; the message lists near names.
    """
    matched = set()
    for pattern in patterns:
        found = [name for name in names if name == pattern or fnmatchcase(name, pattern)]
        if not found:
            raise ValueError(f"no column matches {pattern!r}; {_near(pattern, names)}")
        matched.update(found)
    return [name for name in names if name in matched]


def label_values(column: pd.Series) -> np.ndarray:
    """Return a label column as numbers.

    Parameters
    ----------
    column : Series of shape (n,)
        0/1, -1/1, booleans or "true"/"false"; a missing cell was not annotated.

    Returns
    -------
    ndarray of shape (n,), float64, of 0, 1 and NaN

    Raises
    ------
    ValueError
        If there is any other value, or both 0 and -1; the message names the column and the values.
    """
    cells = column.astype(object)
    try:
        values = list(cells.dropna().unique())
    except TypeError:  # a cell that is a list, as Parquet files may have them, cannot be looked up
        values = [cells.dropna().iloc[0]]
    wrong = [_plain(value) for value in values if _label_value(value) is None]
    if not wrong:
        readings = {value: _label_value(value) for value in values}
        if {0.0, -1.0} <= set(readings.values()):
            wrong = [*sorted({int(reading) for reading in readings.values() if reading is not None})]
    if wrong:
        raise ValueError(
            f"label column {column.name!r} must hold 0/1, -1/1 or true/false, and nothing where not annotated, "
            f"however: it holds {', '.join(map(repr, wrong[:5]))}{', …' if len(wrong) > 5 else ''}; recode it, or "
            f"leave it out of the label patterns"
        )
    numbers = cells.map(readings).to_numpy(dtype=float, na_value=np.nan)
    return np.where(numbers == -1.0, 0.0, numbers)


def _label_value(value: object) -> float | None:
    """Return -1, 0 or 1, or None for anything else."""
    if isinstance(value, str):
        return _LABEL_TEXTS.get(value.strip().lower())
    if isinstance(value, Real | Decimal | np.bool_) and value in (0, 1, -1):
        return float(value)
    return None


def _weights(column: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(numbers) | (numbers < 0)
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"weight column {column.name!r} must hold numbers of at least 0 in every row, however: row {row + 1} has "
            f"{_plain(column.iloc[row])!r}; use 0 for a row that is not to count"
        )
    return numbers


def _groups(column: pd.Series) -> np.ndarray:
    if column.isna().any():
        row = np.flatnonzero(column.isna())[0] + 1
        raise ValueError(f"group column {column.name!r} must hold a value in every row, however: row {row} has none")
    return column.to_numpy()


def _plain(value: object) -> object:
    """Return a NumPy scalar as the Python value that it holds: messages then say 2, not np.int64(2)."""
    return value.item() if isinstance(value, np.generic) else value


def _near(wanted: str, names: Sequence[str]) -> str:
    """Return a hint at the names that are meant, or at all of them."""
    near = get_close_matches(wanted.strip("*?"), names, n=5)
    listing = ", ".join(map(repr, near or names[:10]))
    if near:
        return f"near names: {listing}"
    return f"the columns are {listing}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
