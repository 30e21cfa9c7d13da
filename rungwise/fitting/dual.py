"""Ridge regressions of labels that few rows annotate: for each label a small system, one unknown for each of its rows.

Labels that are annotated for different rows do not share a Hessian, and Newton's method needs many conjugate steps for
them. The dual of a label has no more unknowns than the label has rows (Saunders, Gammerman and Vovk, 1998).
"""

import torch
from torch import Tensor

from rungwise.fitting.objective import Objective

# Products of all pairs of so many rows take a tenth of a gigabyte.
_MOST_ROWS = 4000
# Systems of m rows are worth while if the mean of m³ is at most so many times n · n_units: in benchmarks/duals.py, on
# tables of 300 to 4,000 rows whose annotations are missing at random, they were faster wherever this says so.
_MOST_PASSES = 100
# Systems are solved together, of labels with about as many rows: so many, of no more than so many entries.
_LABELS_AT_ONCE, _MOST_ENTRIES = 16, 2**24
# On the diagonal it leaves nothing of an unknown.
_HUGE = 1e30


def is_worth_while(objective: Objective) -> bool:
    """Return whether systems of the rows that labels have should take less time than conjugate steps over all rows."""
    n, n_units = objective.hidden.shape
    cubes = (objective.weights > 0).sum(0).double() ** 3
    return n <= _MOST_ROWS and float(cubes.mean()) <= _MOST_PASSES * n * n_units


def minimise(objective: Objective, kernel: Tensor, penalty: float) -> Tensor:
    """Return the parameters, (n_units + 1, n_labels), that minimise every label's objective, up to rounding.

    With r what the offset leaves of the targets, and weights v, the duals a of the rows of a label solve
    (K + λ diag(1 / v)) a + c 1 = r and 1ᵀ a = 0; then w = φᵀ a. Where a system is nearly singular in this precision,
    rounding is all that is left.

    Parameters
    ----------
    objective : Objective
        Of a quadratic loss, of curvature 1.
    kernel : Tensor of shape (n, n)
        Products of the hidden units of any two rows.
    penalty : float
    """
    weights, residual = objective.normalised_weights, -objective.loss.slope(objective.offset, objective.targets)
    n_rows = (weights > 0).sum(0).clamp(min=1)
    at_once = min(_LABELS_AT_ONCE, max(1, _MOST_ENTRIES // int(n_rows.max()) ** 2))
    duals, constants = torch.zeros_like(weights), weights.new_zeros(weights.shape[1])
    for labels in n_rows.argsort().split(at_once):
        duals[:, labels], constants[labels] = _solve(
            weights[:, labels], residual[:, labels], kernel, penalty, int(n_rows[labels].max())
        )
    return torch.cat([objective.hidden.T @ duals, constants[None]])


def _solve(weights: Tensor, residual: Tensor, kernel: Tensor, penalty: float, n_rows: int) -> tuple[Tensor, Tensor]:
    """Return the duals of all rows, (n, n_some), and the constants, (n_some,), of labels of at most so many rows."""
    own, rows = weights.T.topk(n_rows)
    system = kernel[rows[:, :, None], rows[:, None, :]]
    # Of labels with fewer rows, some are among them that have no weight: their duals are as good as 0.
    system.diagonal(dim1=1, dim2=2).add_(torch.where(own > 0, penalty / own, _HUGE).clamp(max=_HUGE))
    factor, _ = torch.linalg.cholesky_ex(system)
    right = residual.T.gather(1, rows)
    of_residual, of_one = torch.cholesky_solve(torch.stack([right, torch.ones_like(right)], 2), factor).unbind(2)
    constants = torch.where(own[:, 0] > 0, of_residual.sum(1) / of_one.sum(1), 0.0)
    own_duals = of_residual - constants[:, None] * of_one
    return torch.zeros_like(weights).scatter_(0, rows.T, own_duals.T), constants
