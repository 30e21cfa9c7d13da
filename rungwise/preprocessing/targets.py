"""Labels in and out: from Y as people keep it to ±1 targets with a mask, and back from scores to labels."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from rungwise.preprocessing.tables import is_frame

KINDS = ("multilabel", "binary", "multiclass")
# Rows of the smallest weights that together hold no more than this share of the weight do not set the unit of weights.
_NEGLIGIBLE_SHARE = 0.01


@dataclass(frozen=True)
class LabelCoding:
    """How the labels of a training set are written.

    Attributes
    ----------
    kind : {"multilabel", "binary", "multiclass"}
        A matrix of labels, or one column of two or of several classes.
    names : tuple of str
        One name for each label; the classes, for one column of several classes.
    classes : ndarray
        The values of a label in ascending order (multilabel), or the classes.
    """

    kind: str
    names: tuple[str, ...]
    classes: np.ndarray

    def decode(self, log_odds: np.ndarray) -> np.ndarray:
        """Return labels as they were written in training: (n, n_labels) for a matrix, else (n,)."""
        if self.kind == "multiclass":
            return self.classes[log_odds.argmax(axis=1)]
        labels = self.classes[(log_odds > 0).astype(int)]
        return labels if self.kind == "multilabel" else labels[:, 0]


def read_targets(Y: Any) -> tuple[np.ndarray, LabelCoding]:
    """Return targets of shape (n, n_labels), ±1 and NaN where not annotated, and how Y is written.

    Parameters
    ----------
    Y : array or data frame
        Shape (n, n_labels) with values {0, 1}, {-1, 1} or booleans, NaN where a label is not annotated; or (n,) with
        any class names.

    Raises
    ------
    ValueError
        If Y has other values, no labels, duplicate names, a label without any annotation, or one class only.
    """
    if Y is None:
        raise ValueError("RungwiseClassifier requires y to be passed, but the target y is None")
    names = [str(name) for name in Y.columns] if is_frame(Y) else None
    if scipy.sparse.issparse(Y):
        Y = Y.toarray()
    values = Y if hasattr(Y, "ndim") or is_frame(Y) else np.asarray(Y)
    if values.ndim == 1 if hasattr(values, "ndim") else False:
        return _one_column(values)
    matrix = _as_floats(values, names)
    if matrix.ndim != 2:
        raise ValueError(f"Y must have shape (n_samples, n_labels) or (n_samples,), however: {matrix.shape}")
    if matrix.shape[1] == 1 and len(np.unique(matrix[~np.isnan(matrix)])) > 2:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected; use y.ravel() for several classes",
            DataConversionWarning,
            stacklevel=3,
        )
        return _one_column(matrix[:, 0].astype(np.asarray(values).dtype))
    return _matrix(matrix, np.asarray(values).dtype, names)


def read_label_matrix(Y: Any) -> np.ndarray:
    """Return labels as float64 of shape (n, n_labels): 1, 0, and NaN where not annotated, however Y writes them.

    Unlike `read_targets` it takes part of a set, where a label may have no annotation.

    Parameters
    ----------
    Y : array, sparse matrix or data frame of shape (n, n_labels)

    Raises
    ------
    ValueError
        If Y has another shape or other values.
    """
    names = [str(name) for name in Y.columns] if is_frame(Y) else None
    matrix = _as_floats(Y.toarray() if scipy.sparse.issparse(Y) else Y, names)
    if matrix.ndim != 2:
        raise ValueError(f"Y must have shape (n_samples, n_labels), however: {matrix.shape}")
    _check_values(matrix, names or [f"label_{j}" for j in range(matrix.shape[1])])
    return np.where(np.isnan(matrix), np.nan, matrix > 0)


def _as_floats(values: Any, names: list[str] | None) -> np.ndarray:
    """Return Y as float64 with NaN for every kind of missing value."""
    if names is not None:
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"label names must be distinct, however: {duplicates} appear more than once")
        values = values.to_pandas() if hasattr(values, "to_pandas") else values
        columns = [_column_as_floats(values.iloc[:, j], name) for j, name in enumerate(names)]
        return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))
    array = np.asarray(values)
    if array.dtype.kind in "USOc":
        try:
            if array.dtype.kind != "O":
                raise TypeError
            return np.array([[np.nan if pd.isna(v) else float(v) for v in row] for row in array.tolist()])
        except (TypeError, ValueError):
            raise ValueError(
                f"Y must hold 0 and 1, -1 and 1, or booleans, however: {array.ravel()[:3].tolist()}; only a 1-D y may "
                "hold class names"
            ) from None
    return array.astype(np.float64)


def _column_as_floats(column: Any, name: str) -> np.ndarray:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"label {name!r} must hold 0 and 1, -1 and 1, or booleans, however: {column.dropna().unique()[:3].tolist()}"
        ) from None


def _matrix(matrix: np.ndarray, dtype: np.dtype, names: list[str] | None) -> tuple[np.ndarray, LabelCoding]:
    n_labels = matrix.shape[1]
    if n_labels == 0:
        raise ValueError("Y must have at least 1 label, however: its shape is " + str(matrix.shape))
    names = names or [f"label_{j}" for j in range(n_labels)]
    allowed = _check_values(matrix, names)
    unannotated = [name for name, column in zip(names, matrix.T, strict=True) if len(matrix) and np.isnan(column).all()]
    if unannotated:
        raise ValueError(f"these labels have no annotation at all; drop them from Y: {unannotated}")
    if dtype.kind == "b":
        classes = np.array([False, True])
    else:
        classes = np.array(allowed).astype(int)
    return np.where(np.isnan(matrix), np.nan, np.where(matrix > 0, 1.0, -1.0)), LabelCoding(
        "multilabel", tuple(names), classes
    )


def _check_values(matrix: np.ndarray, names: list[str]) -> list[float]:
    """Return the two values that labels are written with."""
    found = np.unique(matrix[~np.isnan(matrix)])
    for allowed in ([0.0, 1.0], [-1.0, 1.0]):
        if set(found) <= set(allowed):
            return allowed
    strange = [v for v in found.tolist() if v not in (-1.0, 0.0, 1.0)] or found.tolist()
    column = int(np.isin(matrix, strange).any(axis=0).argmax())
    raise ValueError(
        f"Y must hold 0 and 1, -1 and 1, or booleans (NaN where not annotated), however: label {names[column]!r} "
        f"has {strange[:3]}; give each class a column of its own"
    )


def _one_column(y: Any) -> tuple[np.ndarray, LabelCoding]:
    y = column_or_1d(y)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    missing = np.flatnonzero(pd.isna(y))
    if len(missing):
        raise ValueError(
            f"a 1-D y must hold a class for every example, however: y[{missing[0]}] is {y[missing[0]]!r}; leave such "
            "examples out, or give a column of 0 and 1 for each class, NaN where it is not annotated"
        )
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, however: only one class, {classes.tolist()}")
    names = tuple(str(c) for c in classes)
    if len(classes) == 2:
        return 2.0 * codes[:, None] - 1.0, LabelCoding("binary", names[1:], classes)
    return 2.0 * (codes[:, None] == np.arange(len(classes))) - 1.0, LabelCoding("multiclass", names, classes)


def read_weights(sample_weight: Any, annotated: np.ndarray) -> np.ndarray:
    """Return weights of shape (n, n_labels), in units of one example, 0 where a label is not annotated.

    Parameters
    ----------
    sample_weight : None or array of shape (n,) or (n, n_labels)
    annotated : ndarray of bool, shape (n, n_labels)

    Raises
    ------
    ValueError
        If weights are negative, NaN, infinite, of another shape, or leave a label without any weight.
    """
    if sample_weight is None:
        return annotated.astype(np.float64)
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight", ensure_min_samples=0
    )
    if weights.shape not in (annotated.shape, annotated.shape[:1]):
        raise ValueError(
            f"sample_weight must have shape {annotated.shape[:1]} or {annotated.shape}, however: {weights.shape}"
        )
    if (weights < 0).any():
        raise ValueError(f"sample_weight must not be negative, however: its smallest value is {weights.min()}")
    if not weights.any():
        raise ValueError("sample_weight is zero for every example; give some example a positive weight")
    return _in_examples(np.where(annotated, weights.reshape(len(weights), -1), 0.0))


def _in_examples(weights: np.ndarray) -> np.ndarray:
    """Return weights in units of one example.

    How much evidence the rows are (for the smoothing of probabilities, for the belief in a gate) depends on how many
    examples they are. Were a weight of 1 one example, weights that sum to 1 would be one example in all; were the mean
    weight one, a row of weight 2 would differ from the row twice. The smallest positive weight scales with all weights,
    and stays the same when heavier rows are split into rows of that weight. So that a few rows of next to no weight do
    not turn all others into many examples, it is the smallest after leaving out rows that hold 1 % of the weight.
    (Doubling every weight is both a change of scale and every row twice; no unit can serve both, and this one takes it
    for a change of scale.)
    """
    if not weights.any():
        return weights
    ascending = np.sort(weights[weights > 0])
    held = (ascending / ascending[-1]).cumsum()
    return weights / ascending[np.searchsorted(held, _NEGLIGIBLE_SHARE * held[-1], side="right")]
