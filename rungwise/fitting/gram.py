"""Second moments of hidden units and their Cholesky factors: computed once, shared by all labels and folds.

With s_i the weight of example i, the moments of all rows but fold k are the total minus the fold's own part, so that
honest estimates from K folds cost K more factorisations and no further pass over the examples.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise._products import symmetric_product


@dataclass(frozen=True)
class Moments:
    """Σ_i s_i φ̃_i φ̃_iᵀ for φ̃ = (φ, 1), and the total weight Σ_i s_i."""

    gram: Tensor
    total: Tensor

    @classmethod
    def of(cls, hidden: Tensor, row_weights: Tensor) -> "Moments":
        """Return the moments of hidden units of shape (n, n_units) under weights of shape (n,)."""
        n_units = hidden.shape[1]
        weighted = hidden * row_weights[:, None]
        gram = hidden.new_empty(n_units + 1, n_units + 1)
        gram[:-1, :-1] = symmetric_product(hidden, weighted)
        gram[-1, :-1] = gram[:-1, -1] = weighted.sum(0)
        gram[-1, -1] = row_weights.sum()
        return cls(gram, row_weights.sum())

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.gram + other.gram, self.total + other.total)

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(self.gram - other.gram, self.total - other.total)

    @property
    def mean_square(self) -> Tensor:
        """The mean squared norm of φ: the natural unit of a penalty."""
        return self.gram.diagonal()[:-1].sum() / self.divisor

    @property
    def divisor(self) -> Tensor:
        """The total weight, or hardly anything for that of an empty fold."""
        return self.total.clamp(min=torch.finfo(self.total.dtype).tiny)

    def factor(self, curvature: float, penalty: float) -> Tensor | None:
        """Return the Cholesky factor of curvature · (mean of φ̃ φ̃ᵀ) + penalty · I, the constant not penalised.

        None when the penalty is below what the precision can resolve, so that the matrix is not positive definite.
        """
        system = self.gram / self.divisor * curvature
        system.diagonal()[:-1] += penalty
        # No weight at all (an empty fold): the constant is left at 0.
        system[-1, -1].clamp_(min=torch.finfo(system.dtype).eps)
        factor, failed = torch.linalg.cholesky_ex(system)
        return None if failed else factor
