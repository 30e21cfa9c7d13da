"""The paper's solver: mini-batch stochastic gradient descent on W2, run until the gradient is small.

Hidden units are badly scaled for gradient descent (a degree-K direction of N inputs is about N^K times weaker than the
constant one), so two standard devices are used, and neither changes the objective: steps are taken along the principal
axes of the hidden units with a step size for each axis, and gradients are variance-reduced (Johnson and Zhang, 2013:
each epoch corrects its mini-batch gradients by one full gradient), so that a constant step size converges.
"""

import warnings
from dataclasses import replace

import torch
from torch import Tensor

from rungwise.fitting.gram import Moments
from rungwise.fitting.newton import ConvergenceWarning
from rungwise.fitting.objective import Objective

_BATCH_SIZE = 256
_MAX_EPOCHS = 300
# The gradient norm, relative to that at zero, at which the objective is well within 0.1 % of its minimum.
_TOLERANCE = 1e-4


def minimise(
    objective: Objective,
    moments: Moments,
    penalty: float,
    generator: torch.Generator,
    batch_size: int = _BATCH_SIZE,
    max_epochs: int = _MAX_EPOCHS,
) -> Tensor:
    """Return the parameters, (n_units + 1, n_labels), at which stochastic gradient descent ends.

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
        If some label's gradient norm is still above 1e-4 of its norm at zero after ``max_epochs``.
    """
    second_moment = moments.gram[:-1, :-1] / moments.total
    eigenvalues, axes = torch.linalg.eigh(second_moment)
    problem = replace(objective, hidden=objective.hidden @ axes)
    weights = objective.normalised_weights * len(objective.targets)
    curvatures = objective.loss.max_curvature * eigenvalues.clamp(min=0) + penalty
    step_sizes = _step_sizes(problem, curvatures, weights, batch_size)

    parameters = problem.hidden.new_zeros(problem.n_parameters, problem.targets.shape[1])
    goal = _TOLERANCE * problem.gradient(parameters, penalty).norm(dim=0)
    for _ in range(max_epochs):
        anchor, full_gradient = parameters.clone(), problem.gradient(parameters, penalty)
        if (full_gradient.norm(dim=0) <= goal).all():
            break
        order = torch.randperm(len(weights), generator=generator).to(weights.device)
        for rows in order.split(batch_size):
            batch, batch_weights = problem.select(rows), weights[rows] / len(rows)
            slope = _slope(batch, parameters) - _slope(batch, anchor)
            gradient = batch.adjoint(batch_weights * slope) + full_gradient
            gradient[:-1] += penalty * (parameters - anchor)[:-1]
            parameters = parameters - step_sizes * gradient
    else:
        warnings.warn(
            f"stochastic gradient descent stopped after max_epochs={max_epochs} with a gradient above the tolerance; "
            f"allow more epochs or a larger penalty (now {penalty:.3g})",
            ConvergenceWarning,
            stacklevel=2,
        )
    return torch.cat([axes @ parameters[:-1], parameters[-1:]])


def _slope(objective: Objective, parameters: Tensor) -> Tensor:
    return objective.loss.slope(objective.offset + objective.update(parameters), objective.targets)


def _step_sizes(objective: Objective, curvatures: Tensor, weights: Tensor, batch_size: int) -> Tensor:
    """Return a safe step size for every parameter, (n_units + 1, 1).

    Measured in units of 1 / curvature, a mini-batch of b examples has smoothness at most 1 + ℓ / b, where ℓ is the
    largest weighted leverage of an example.
    """
    curvature = objective.loss.max_curvature
    leverage = curvature * (objective.hidden.square() @ (1 / curvatures)) + 1
    smoothness = 1 + (leverage * weights.amax(1)).max() / batch_size
    steps = torch.cat([1 / curvatures, curvatures.new_tensor([1 / curvature])])
    return (steps / smoothness)[:, None]
