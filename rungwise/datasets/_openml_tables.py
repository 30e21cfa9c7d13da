"""From OpenML's tables to arrays: labels are TRUE/FALSE columns there, features numbers or categories."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils import Bunch

_TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


def split_table(bunch: Bunch, name: str) -> tuple[Any, np.ndarray, list[str], list[str]]:
    """Return X, Y, feature names and label names of a bunch from scikit-learn's ``fetch_openml``.

    Labels are the declared targets. Where fewer than two are declared, every column of TRUE and FALSE counts as a
    label too.

    Parameters
    ----------
    bunch : Bunch
        With ``data`` a DataFrame or sparse matrix, ``target`` a DataFrame, Series, array or None, and their names.
    name : str
        Name of the set, for messages.

    Returns
    -------
    X : float32 array of shape (n_samples, n_features), or CSR matrix
        TRUE/FALSE and yes/no features as 1/0, other categories one-hot as "name=value"; missing values NaN.
    Y : int8 array of shape (n_samples, n_labels), of {0, 1}
    feature_names, label_names : list of str

    Raises
    ------
    ValueError
        If there are no labels, or a label has other values than true and false.
    """
    data, labels = bunch.data, _target_table(bunch)
    if labels.shape[1] < 2 and isinstance(data, pd.DataFrame):
        found = [column for column in data.columns if _is_true_false(data[column])]
        labels = pd.concat([labels, data[found]], axis=1)
        data = data.drop(columns=found)
    if labels.shape[1] == 0:
        raise ValueError(
            f"the table of {name!r} must have label columns of TRUE and FALSE, however: it has none; "
            "its layout has changed, so store it as a file in the folder RUNGWISE_DATA"
        )
    Y = np.column_stack([_as_label(labels[column], name) for column in labels.columns])
    label_names = [str(column) for column in labels.columns]
    if issparse(data):
        return data.tocsr().astype(np.float32), Y, [str(feature) for feature in bunch.feature_names], label_names
    X, feature_names = _as_features(data)
    return X, Y, feature_names, label_names


def _target_table(bunch: Bunch) -> pd.DataFrame:
    target = bunch.target
    if isinstance(target, pd.DataFrame):
        return target
    if target is None:
        return pd.DataFrame(index=bunch.data.index if isinstance(bunch.data, pd.DataFrame) else None)
    if isinstance(target, pd.Series):
        return target.to_frame()
    target = np.asarray(target)
    return pd.DataFrame(target.reshape(len(target), -1), columns=list(bunch.target_names))


def _texts(column: pd.Series) -> pd.Series:
    """Return the values of a column as lower-case text, missing ones left missing."""
    return column.astype(object).map(
        lambda value: (value.decode() if isinstance(value, bytes) else str(value)).strip().strip("'\"").lower(),
        na_action="ignore",
    )


def _is_true_false(column: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return False
    found = set(_texts(column).dropna())
    return bool(found) and found <= {"true", "false"}


def _as_label(column: pd.Series, name: str) -> np.ndarray:
    texts = _texts(column)
    values = texts.map(_TRUTH)
    if values.isna().any():
        wrong = column[values.isna()].iloc[0]
        raise ValueError(
            f"label {column.name!r} of {name!r} must be TRUE or FALSE in every row, however: it holds {wrong!r}"
        )
    return values.to_numpy(dtype=np.int8)


def _as_features(data: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    columns: list[np.ndarray] = []
    names: list[str] = []
    for name in data.columns:
        column = data[name]
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(dtype=np.float32, na_value=np.nan))
            names.append(str(name))
            continue
        texts = _texts(column)
        missing = texts.isna().to_numpy()
        if set(texts.dropna()) <= set(_TRUTH):
            columns.append(texts.map(_TRUTH).to_numpy(dtype=np.float32))
            names.append(str(name))
            continue
        for value in sorted(set(column.dropna().astype(str))):
            one_hot = (column.astype(str) == value).to_numpy(dtype=np.float32)
            columns.append(np.where(missing, np.float32(np.nan), one_hot))
            names.append(f"{name}={value}")
    X = np.column_stack(columns) if columns else np.empty((len(data), 0), dtype=np.float32)
    return X, names
