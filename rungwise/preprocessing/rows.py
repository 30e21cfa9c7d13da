"""Groups and weights of examples, as one value for each row, and rows of data frames."""

from typing import Any

import numpy as np
import pandas as pd


def check_groups(groups: Any) -> None:
    """Refuse groups, one for each example or None, that are not a column or have gaps."""
    if groups is None:
        return
    if np.ndim(groups) != 1:
        raise ValueError(f"groups must have shape (n_samples,), however: {np.shape(groups)}")
    missing = np.flatnonzero(pd.isna(np.asarray(groups)))
    if len(missing):
        raise ValueError(
            f"groups must name a group for every example, however: it is missing for example {missing[0]}; give that "
            "example a group of its own"
        )


def per_row(values: Any, instances: np.ndarray, n_positions: int) -> Any:
    """Return weights or groups, given for each example or for each of its positions, as values for each row."""
    if values is None:
        return None
    values = np.asarray(values)
    if n_positions == 1 and values.ndim < 3:
        return values
    n_instances = len(instances) // n_positions
    if len(values) != n_instances or (values.ndim == 3 and values.shape[1] != n_positions):
        raise ValueError(
            f"with a neighborhood, there must be a weight, or a group, for each of {n_instances} examples, or a weight "
            f"for each of their {n_positions} positions and each label, however: shape {values.shape}"
        )
    return values.reshape(len(instances), -1) if values.ndim == 3 else values[instances]


def take_rows(frame: Any, rows: np.ndarray) -> Any:
    """Return the rows of a pandas or polars frame where ``rows``, (n,) bool, says so."""
    return frame.filter(rows) if hasattr(frame, "height") else frame.loc[rows]
