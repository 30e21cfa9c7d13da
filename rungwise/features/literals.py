"""Literals: yes-or-no questions about stream entries, "is entry a greater than t?", as values ±1."""

import torch
from torch import Tensor


def literal_thresholds(column: Tensor, n_thresholds: int, weights: Tensor) -> Tensor:
    """Return where to cut a column: between all its values if they are few, else at its quantiles.

    Parameters
    ----------
    column : Tensor of shape (n,)
    n_thresholds : int, at least 1
        Most thresholds.
    weights : Tensor of shape (n,)
        Of the rows, for the quantiles.

    Returns
    -------
    Tensor of shape (n_cuts,), ascending; no row lies on a threshold, and none is empty on one side.

    Examples
    --------
    >>> literal_thresholds(torch.tensor([0.0, 1.0, 1.0, 0.0]), n_thresholds=15, weights=torch.ones(4))
    tensor([0.5000])
    """
    values = column.unique()
    midpoints = (values[1:] + values[:-1]) / 2
    if len(midpoints) <= n_thresholds:
        return midpoints
    ordered = column.sort()
    reached = weights[ordered.indices].double().cumsum(0)
    levels = torch.linspace(0, 1, n_thresholds + 2, dtype=torch.float64)[1:-1] * reached[-1]
    quantiles = ordered.values[torch.searchsorted(reached, levels)]
    below = torch.searchsorted(values, quantiles).clamp(max=len(midpoints) - 1)
    return midpoints[below.unique()]
