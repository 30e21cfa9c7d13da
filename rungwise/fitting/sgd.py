"""The paper's solver: mini-batch stochastic gradient descent on W2, run until the gradient is small.

Hidden units are badly scaled for gradient descent (a degree-K direction of N inputs is about N^K times weaker than the
constant one), so two standard devices are used, and neither changes the objective: steps are taken along the principal
axes of the hidden units with a step size for each axis, and gradients are variance-reduced (Johnson and Zhang, 2013:
each epoch corrects its mini-batch gradients by one full gradient), so that a constant step size converges.
"""

import math
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rungwise.fitting.gram import Moments
from rungwise.fitting.newton import ConvergenceWarning
from rungwise.fitting.objective import Objective, weighted_sum

_BATCH_SIZE = 256
_MAX_EPOCHS = 300
# The distance to the minimum, as a fraction of the objective, at which a label is done: scores are then within about
# 1e-3 of the optimal ones, which moves hardly any of them across 0.
_TOLERANCE = 1e-7
# Beside objectives that are nearly 0 no fraction of them is small enough: losses are of order 1.
_NEXT_TO_NOTHING = 1e-10
# Variance-reduced descent converges for steps below 1 / (4 smoothness) (Johnson and Zhang, 2013, theorem 1). After an
# epoch that lowered a label's objective its steps grow, since the smoothness is a bound; after one that raised it they
# shrink, and the epoch does not count.
_FIRST_STEP, _GROWTH, _SHRINKAGE = 0.25, 1.3, 0.4


def minimise(
    objective: Objective,
    moments: Moments,
    penalty: float,
    generator: torch.Generator,
    batch_size: int = _BATCH_SIZE,
    max_epochs: int = _MAX_EPOCHS,
) -> Tensor:
    """Return the parameters, (n_units + 1, n_labels), at which stochastic gradient descent ends.

    The objective of no label is ever higher than at zero, where the descent starts.

    Parameters
    ----------
    objective : Objective
    moments : Moments
        Of the hidden units, under weights near those of the labels: they set the step sizes.
    penalty : float
    generator : torch.Generator
        Orders the examples of each epoch.
    batch_size, max_epochs : int

    Warns
    -----
    ConvergenceWarning
        If after ``max_epochs`` some label's objective seems to be more than 1e-7 of it above its minimum.
    """
    eigenvalues, axes = torch.linalg.eigh(moments.gram[:-1, :-1] / moments.total)
    eigenvalues = torch.cat([eigenvalues.clamp(min=0), eigenvalues.new_ones(1)])[:, None]  # of the constant: 1
    ridge = torch.full_like(eigenvalues, penalty)
    ridge[-1] = 0
    problem = replace(objective, hidden=objective.hidden @ axes)
    step_sizes = _step_sizes(problem, eigenvalues, ridge, batch_size)

    result = problem.hidden.new_zeros(problem.n_parameters, problem.targets.shape[1])
    labels = torch.arange(result.shape[1], device=result.device)  # those still at work
    anchor = _Anchor.at(problem, result, penalty)
    scale = result.new_full((len(labels),), _FIRST_STEP)
    rounding = 8 * torch.finfo(result.dtype).eps
    for _ in range(max_epochs):
        gap = anchor.gap(eigenvalues, ridge)
        open_ = gap > _TOLERANCE * anchor.value + _NEXT_TO_NOTHING
        if not open_.all():
            result[:, labels] = anchor.parameters
            labels, scale, gap = labels[open_], scale[open_], gap[open_]
            problem, anchor = problem.select_labels(open_), anchor.select_labels(open_)
            if len(labels) == 0:
                break
        reached = _Anchor.at(
            problem, _epoch(problem, anchor, penalty, step_sizes * scale, batch_size, generator), penalty
        )
        # Where rounding hides whether the objective fell, the gap tells. An objective that is no number did not fall.
        fell = (reached.value < anchor.value * (1 - rounding)) | (
            (reached.value < anchor.value * (1 + rounding)) & (reached.gap(eigenvalues, ridge) < gap)
        )
        scale = torch.where(fell, _GROWTH * scale, _SHRINKAGE * scale)
        anchor = anchor.replaced_where(fell, reached)
    else:
        result[:, labels] = anchor.parameters
        warnings.warn(
            f"stochastic gradient descent stopped after max_epochs={max_epochs} with {len(labels)} of "
            f"{result.shape[1]} readouts above the tolerance; a larger penalty (now {penalty:.3g}) makes them easier, "
            'and so does solver="exact"',
            ConvergenceWarning,
            stacklevel=2,
        )
    return torch.cat([axes @ result[:-1], result[-1:]])


@dataclass(frozen=True)
class _Anchor:
    """Parameters, with what one pass over all examples tells there: what variance reduction refers to."""

    parameters: Tensor  # (n_units + 1, n_labels)
    gradient: Tensor  # (n_units + 1, n_labels)
    slope: Tensor  # of the loss of every example, (n, n_labels)
    value: Tensor  # of the objective, (n_labels,), float64
    curvature: Tensor  # of the loss, the mean over examples, (n_labels,)

    @classmethod
    def at(cls, objective: Objective, parameters: Tensor, penalty: float) -> "_Anchor":
        weights = objective.normalised_weights
        scores = objective.offset + objective.update(parameters)
        slope = objective.loss.slope(scores, objective.targets)
        gradient = objective.adjoint(weights * slope)
        gradient[:-1] += penalty * parameters[:-1]
        # In double precision: the error of long sums would hide whether the last steps lower the objective.
        losses = objective.loss.value(scores, objective.targets).double()
        value = weighted_sum(losses, weights.double()) + penalty / 2 * parameters[:-1].double().square().sum(0)
        curvature = weighted_sum(objective.loss.curvature(scores, objective.targets), weights)
        return cls(parameters, gradient, slope, value, curvature)

    def gap(self, eigenvalues: Tensor, ridge: Tensor) -> Tensor:
        """Return how far the objective is above its minimum, (n_labels,), were its curvature the same everywhere."""
        curvature = (self.curvature * eigenvalues + ridge).clamp(min=torch.finfo(ridge.dtype).tiny)
        return (self.gradient.square() / curvature).sum(0) / 2

    def select_labels(self, labels: Tensor) -> "_Anchor":
        return _Anchor(*(getattr(self, name)[..., labels] for name in _Anchor.__dataclass_fields__))

    def replaced_where(self, labels: Tensor, other: "_Anchor") -> "_Anchor":
        """Return the other anchor for the labels where a mask, (n_labels,), holds, and this one for the rest."""
        return _Anchor(
            *(torch.where(labels, getattr(other, name), getattr(self, name)) for name in _Anchor.__dataclass_fields__)
        )


def _epoch(
    objective: Objective, anchor: _Anchor, penalty: float, steps: Tensor, batch_size: int, generator: torch.Generator
) -> Tensor:
    """Return the parameters after a step for each mini-batch of all examples in random order."""
    parameters = anchor.parameters
    weights = objective.normalised_weights * len(objective.targets)
    order = torch.randperm(len(weights), generator=generator).to(weights.device)
    # As equal as can be: a last batch of few examples would be far less smooth than the step size allows for.
    for rows in order.tensor_split(math.ceil(len(order) / batch_size)):
        batch = objective.select(rows)
        slope = batch.loss.slope(batch.offset + batch.update(parameters), batch.targets) - anchor.slope[rows]
        gradient = batch.adjoint(weights[rows] / len(rows) * slope) + anchor.gradient
        gradient[:-1] += penalty * (parameters - anchor.parameters)[:-1]
        parameters = parameters - steps * gradient
    return parameters


def _step_sizes(objective: Objective, eigenvalues: Tensor, ridge: Tensor, batch_size: int) -> Tensor:
    """Return 1 / smoothness for every parameter, (n_units + 1, 1).

    Measured in units of 1 / curvature, a mini-batch of b examples has smoothness at most 1 + ℓ / b, where ℓ is the
    largest weighted leverage of an example.
    """
    largest = objective.loss.max_curvature
    curvatures = largest * eigenvalues + ridge
    leverage = largest * (objective.hidden.square() @ (1 / curvatures[:-1, 0]) + 1 / curvatures[-1])
    weights = objective.normalised_weights.amax(1) * len(leverage)
    return 1 / curvatures / (1 + (leverage * weights).max() / batch_size)
