"""Newton's method with conjugate gradients for all labels at once, preconditioned by one shared Cholesky factor.

Each label is its own convex problem, but all of them share the hidden units, so every step is two matrix products
over all labels still at work. With a quadratic loss and weights shared by the labels the preconditioner is the
inverse of the Hessian, and the first step is the ridge solution in closed form.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from rungwise.fitting.objective import Objective, weighted_sum

_MAX_STEPS = 50
_MAX_CONJUGATE_STEPS = 50
# A looser step leaves the weakly penalised directions where they were, and the method stalls at small penalties.
_STEP_RESIDUAL = 1e-3
_HALVINGS = 12


class ConvergenceWarning(UserWarning):
    """A readout was stopped before its gradient was small."""


def gradient_tolerance(dtype: torch.dtype) -> float:
    """Return the gradient norm, relative to that at zero, at which a readout counts as optimal in a precision."""
    return 1e-7 if dtype == torch.float64 else 1e-4


def minimise(objective: Objective, factor: Tensor, penalty: float, start: Tensor | None = None) -> Tensor:
    """Return the parameters, (n_units + 1, n_labels), that minimise every label's objective.

    Parameters
    ----------
    objective : Objective
    factor : Tensor of shape (n_units + 1, n_units + 1)
        Cholesky factor of a matrix near the Hessians, from `Moments.factor`.
    penalty : float
    start : Tensor of shape (n_units + 1, n_labels), optional
        Where to begin; zero if not given.

    Warns
    -----
    ConvergenceWarning
        If a label's gradient norm is not below the tolerance after 50 steps.
    """
    shape = (objective.n_parameters, objective.targets.shape[1])
    parameters = objective.hidden.new_zeros(shape)
    # Weights sum to 1 and slopes are of order 1: below some units in the last place a gradient is rounding alone.
    floor = 10 * torch.finfo(parameters.dtype).eps
    goal = gradient_tolerance(parameters.dtype) * objective.gradient(parameters, penalty).norm(dim=0) + floor
    if start is not None:
        parameters = start.clone()
    working = torch.arange(shape[1], device=parameters.device)
    for _ in range(_MAX_STEPS):
        problem = objective.select_labels(working)
        current = parameters[:, working]
        gradient = problem.gradient(current, penalty)
        unfinished = gradient.norm(dim=0) > goal[working]
        if not unfinished.any():
            return parameters
        working, problem = working[unfinished], problem.select_labels(unfinished)
        parameters[:, working] = _newton_step(problem, factor, penalty, current[:, unfinished], gradient[:, unfinished])
    warnings.warn(
        f"{len(working)} of {shape[1]} readouts stopped after {_MAX_STEPS} Newton steps with a gradient above the "
        f"tolerance; a larger penalty (now {penalty:.3g}) makes them easier",
        ConvergenceWarning,
        stacklevel=2,
    )
    return parameters


def _newton_step(objective: Objective, factor: Tensor, penalty: float, parameters: Tensor, gradient: Tensor) -> Tensor:
    """Return the parameters after one damped Newton step of every label."""
    weights = objective.normalised_weights
    scores = objective.offset + objective.update(parameters)
    curvature = weights * objective.loss.curvature(scores, objective.targets)

    def hessian(direction: Tensor) -> Tensor:
        product = objective.adjoint(curvature * objective.update(direction))
        product[:-1] += penalty * direction[:-1]
        return product

    direction = _conjugate_gradients(hessian, -gradient, factor)
    change = objective.update(direction)
    inner = (parameters[:-1] * direction[:-1]).sum(0), direction[:-1].square().sum(0)
    before = objective.loss.value(scores, objective.targets)
    start = weighted_sum(before, weights)
    slope = (gradient * direction).sum(0)
    size = torch.ones_like(slope)
    for _ in range(_HALVINGS):
        after = objective.loss.value(scores + size * change, objective.targets)
        # Differences entry by entry: those of two long sums would lose the last digits.
        decrease = weighted_sum(after - before, weights) + penalty * (size * inner[0] + size.square() / 2 * inner[1])
        # Rounding alone moves the objective by some units in the last place.
        too_long = decrease > 1e-4 * size * slope + 8 * torch.finfo(start.dtype).eps * start.abs()
        if not too_long.any():
            break
        size = torch.where(too_long, size / 2, size)
    return parameters + size * direction


def _conjugate_gradients(hessian: Callable[[Tensor], Tensor], right_side: Tensor, factor: Tensor) -> Tensor:
    """Return approximate solutions of hessian(d) = right_side, a column for each label."""
    solution = torch.zeros_like(right_side)
    residual = right_side.clone()
    goal = _STEP_RESIDUAL * right_side.norm(dim=0)
    preconditioned = torch.cholesky_solve(residual, factor)
    direction = preconditioned
    energy = (residual * preconditioned).sum(0)
    tiny = torch.finfo(residual.dtype).tiny
    for _ in range(_MAX_CONJUGATE_STEPS):
        product = hessian(direction)
        # A column that has arrived has zero energy, and moves no further.
        size = energy / (direction * product).sum(0).clamp(min=tiny)
        solution = solution + size * direction
        residual = residual - size * product
        if (residual.norm(dim=0) <= goal).all():
            break
        preconditioned = torch.cholesky_solve(residual, factor)
        previous, energy = energy, (residual * preconditioned).sum(0)
        direction = preconditioned + energy / previous.clamp(min=tiny) * direction
    return solution
