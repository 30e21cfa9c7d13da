"""What a block's readout minimises: a convex loss of the label margins plus a ridge penalty, per label.

    J_j(w, c) = Σ_i v_ij ℓ(o_ij + φ_i · w + c, y_ij) + λ |w|² / 2

φ_i are the hidden units of example i, o_ij the estimates that the update is added to, v_ij the weights scaled to sum
to 1 for each label. A label that is not annotated for an example has v_ij = 0. The constant c is not penalised.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rungwise.fitting.losses import Loss


@dataclass(frozen=True)
class Objective:
    """One convex problem for each label, over shared hidden units.

    Parameters
    ----------
    loss : Loss
    hidden : Tensor of shape (n, n_units)
        Hidden units φ; `rungwise.fitting.readout` passes them centred, which keeps the constant apart.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        Not negative.
    offset : Tensor of shape (n, n_labels)
        The estimates so far.
    """

    loss: Loss
    hidden: Tensor
    targets: Tensor
    weights: Tensor
    offset: Tensor

    @property
    def n_parameters(self) -> int:
        """Rows of the parameters: one for each hidden unit, and the constant as the last."""
        return self.hidden.shape[1] + 1

    @property
    def normalised_weights(self) -> Tensor:
        """The weights v_ij: they sum to 1 for each label (to 0 for a label with no weight at all)."""
        return normalise(self.weights)

    def select(self, rows: Tensor | slice) -> "Objective":
        """Return the objective of some of the rows."""
        return replace(
            self,
            hidden=self.hidden[rows],
            targets=self.targets[rows],
            weights=self.weights[rows],
            offset=self.offset[rows],
        )

    def select_labels(self, labels: Tensor) -> "Objective":
        """Return the objective of some of the labels, given by index or by a mask."""
        return replace(
            self,
            targets=self.targets[:, labels],
            weights=self.weights[:, labels],
            offset=self.offset[:, labels],
        )

    def update(self, parameters: Tensor) -> Tensor:
        """Return φ W + c, (n, n_labels), for parameters of shape (n_units + 1, n_labels)."""
        return torch.addmm(parameters[-1], self.hidden, parameters[:-1])

    def adjoint(self, residuals: Tensor) -> Tensor:
        """Return the transpose of `update`: (φᵀ R, column sums of R), of shape (n_units + 1, n_labels)."""
        return torch.cat([self.hidden.T @ residuals, residuals.sum(0, keepdim=True)])

    def value(self, parameters: Tensor, penalty: float) -> Tensor:
        """Return J, shape (n_labels,)."""
        losses = self.loss.value(self.offset + self.update(parameters), self.targets)
        return weighted_sum(losses, self.normalised_weights) + penalty / 2 * parameters[:-1].square().sum(0)

    def gradient(self, parameters: Tensor, penalty: float) -> Tensor:
        """Return the gradient of J, shape (n_units + 1, n_labels)."""
        slope = self.loss.slope(self.offset + self.update(parameters), self.targets)
        gradient = self.adjoint(self.normalised_weights * slope)
        gradient[:-1] += penalty * parameters[:-1]
        return gradient


def normalise(weights: Tensor) -> Tensor:
    """Return weights whose columns sum to 1; a column of zeros stays as it is."""
    return weights / weights.sum(0).clamp(min=torch.finfo(weights.dtype).tiny)


def weighted_sum(values: Tensor, weights: Tensor) -> Tensor:
    """Return Σ_i v_ij a_ij, shape (n_labels,)."""
    return torch.einsum("ij,ij->j", values, weights)
