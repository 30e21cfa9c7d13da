"""Literals: yes-or-no questions about stream entries, "is entry a greater than t?", as values ±1."""

import torch
from torch import Tensor


def literal_thresholds(
    column: Tensor, n_thresholds: int, weights: Tensor | None = None, n_quantiles: int | None = None
) -> Tensor:
    """Return where to cut a column: between all its values if they are few, else at its quantiles.

    Parameters
    ----------
    column : Tensor of shape (n,)
    n_thresholds : int, at least 1
        Most thresholds between all values.
    weights : Tensor of shape (n,), optional
        Of the rows, for the quantiles.
    n_quantiles : int, at least 0, optional
        So many, if the values are more; ``n_thresholds`` if not given.

    Returns
    -------
    Tensor of shape (n_cuts,), ascending; some rows exceed each threshold, and some do not.

    Examples
    --------
    >>> literal_thresholds(torch.tensor([0.0, 1.0, 1.0, 0.0]), n_thresholds=15)
    tensor([0.5000])
    """
    values = column.unique()
    midpoints = (values[1:] + values[:-1]) / 2
    # Between neighbouring floating-point numbers there is none: rows on the lower one are not above it.
    midpoints = torch.where(midpoints < values[1:], midpoints, values[:-1])
    if len(midpoints) <= n_thresholds:
        return midpoints
    n_levels = n_thresholds if n_quantiles is None else n_quantiles
    if n_levels == 0:
        return midpoints[:0]
    ordered = column.sort()
    shares = torch.ones_like(column) if weights is None else weights
    reached = shares[ordered.indices].double().cumsum(0)
    levels = torch.linspace(0, 1, n_levels + 2, dtype=torch.float64)[1:-1] * reached[-1]
    quantiles = ordered.values[torch.searchsorted(reached, levels)]
    below = torch.searchsorted(values, quantiles).clamp(max=len(midpoints) - 1)
    return midpoints[below.unique()]
