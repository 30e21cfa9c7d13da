"""Ridge regressions of labels that few rows annotate: for each label a small system, one unknown for each of its rows.

Labels that are annotated for different rows do not share a Hessian, and Newton's method needs many conjugate steps for
them. The dual of a label has no more unknowns than the label has rows (Saunders, Gammerman and Vovk, 1998).
"""

import torch
from torch import Tensor

from rungwise.fitting.objective import Objective

# Products of all pairs of so many rows take a tenth of a gigabyte.
_MOST_ROWS = 4000
# The cube of a label's rows, in passes of conjugate steps over the units of all rows, at which both take as long:
# measured on tables of 300 to 1,700 rows with .3 to .7 of the annotations missing.
_PASSES = 100
# Entries of the systems that are solved together: a tenth of a gigabyte.
_ENTRIES = 2**24
# A penalty over weight of which nothing is left in a sum.
_NO_WEIGHT = 1e30


def is_worth_while(objective: Objective) -> bool:
    """Return whether systems of the rows that the labels have take less time than conjugate steps over all rows."""
    n, n_units = objective.hidden.shape
    return n <= _MOST_ROWS and int((objective.weights > 0).sum(0).max()) ** 3 <= _PASSES * n * n_units


def minimise(objective: Objective, kernel: Tensor, penalty: float) -> Tensor:
    """Return the parameters, (n_units + 1, n_labels), that minimise every label's objective, up to rounding.

    With residuals r of the constant 0 and weights v, the duals a of the rows of a label solve (K + λ diag(1 / v)) a +
    c 1 = r and 1ᵀ a = 0; then w = φᵀ a. Not finite where a system is singular in this precision.

    Parameters
    ----------
    objective : Objective
        Of a quadratic loss.
    kernel : Tensor of shape (n, n)
        Products of the hidden units of any two rows.
    penalty : float
    """
    weights = objective.loss.max_curvature * objective.normalised_weights
    n_rows = max(1, int((weights > 0).sum(0).max()))
    labels_at_once = max(1, _ENTRIES // n_rows**2)
    residual = -objective.loss.slope(objective.offset, objective.targets) / objective.loss.max_curvature
    solutions = [
        _solve(*columns, kernel, penalty, n_rows)
        for columns in zip(weights.split(labels_at_once, 1), residual.split(labels_at_once, 1), strict=True)
    ]
    duals, constants = (torch.cat(parts, dim=-1) for parts in zip(*solutions, strict=True))
    return torch.cat([objective.hidden.T @ duals, constants[None]])


def _solve(weights: Tensor, residual: Tensor, kernel: Tensor, penalty: float, n_rows: int) -> tuple[Tensor, Tensor]:
    """Return the duals of all rows, (n, n_some), and the constants, (n_some,), of some labels."""
    own, rows = weights.T.topk(n_rows)
    system = kernel[rows[:, :, None], rows[:, None, :]]
    # Labels with fewer rows than others have some without weight among them, whose duals are as good as 0.
    system.diagonal(dim1=1, dim2=2).add_(penalty / own.clamp(min=penalty / _NO_WEIGHT))
    factor, failed = torch.linalg.cholesky_ex(system)
    factor[failed > 0] = torch.nan
    right = residual.T.gather(1, rows)
    of_residual, of_one = torch.cholesky_solve(torch.stack([right, torch.ones_like(right)], 2), factor).unbind(2)
    constants = torch.where(own[:, 0] > 0, of_residual.sum(1) / of_one.sum(1), 0.0)
    own_duals = of_residual - constants[:, None] * of_one
    return torch.zeros_like(weights).scatter_(0, rows.T, own_duals.T), constants
