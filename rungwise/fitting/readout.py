"""Fit the readout W2 of one block, with honest (out-of-fold) updates for the training rows.

For every fold the readout is fitted on the other folds and speaks about the rows of this one, so that the update a
row carries into the next block was never fitted to its own label. The penalty is chosen for each label by the loss of
these honest updates; the readout that the network keeps is then fitted on all rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rungwise._products import symmetric_product
from rungwise.fitting import dual, newton, sgd
from rungwise.fitting.gram import Moments
from rungwise.fitting.objective import Objective, normalise, weighted_sum

PENALTIES = (math.inf, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Penalties tried, in units of the hidden units' mean squared norm. Infinity fits the constant alone; below 1e-7 single
precision resolves nothing."""

_SMALL_PENALTY = 1e-5

SOLVERS = ("exact", "sgd")


@dataclass(frozen=True)
class Readout:
    """A fitted readout.

    Attributes
    ----------
    weight, bias : Tensor of shape (n_units, n_labels) and (n_labels,)
        Fitted on all rows.
    fold_weight, fold_bias : Tensor of shape (n_folds, n_units, n_labels) and (n_folds, n_labels)
        Fitted without the rows of each fold.
    honest_update : Tensor of shape (n, n_labels)
        For each row, the update by the readout that did not see its fold.
    penalty : Tensor of shape (n_labels,)
        The penalty chosen, in the units of `PENALTIES`.
    """

    weight: Tensor
    bias: Tensor
    fold_weight: Tensor
    fold_bias: Tensor
    honest_update: Tensor
    penalty: Tensor

    def select(self, labels: slice) -> "Readout":
        """Return the readout of some of the labels."""
        parts = self.weight, self.bias, self.fold_weight, self.fold_bias, self.honest_update, self.penalty
        return Readout(*(part[..., labels] for part in parts))


def fit_readout(
    objective: Objective,
    folds: Sequence[slice],
    penalties: Sequence[float] = PENALTIES,
    solver: str = "exact",
    generator: torch.Generator | None = None,
    fold_units: Sequence[Tensor] | None = None,
) -> Readout:
    """Fit the readout of one block for all labels.

    Parameters
    ----------
    objective : Objective
        Over all training rows.
    folds : sequence of slice
        Rows sorted so that each fold is a run of rows; together they cover all rows.
    penalties : sequence of float
        Candidates, in units of the hidden units' mean squared norm.
    solver : {"exact", "sgd"}
    generator : torch.Generator
        Used by "sgd".
    fold_units : sequence of Tensor, optional
        If the hidden units were chosen by labels: for each fold those that were chosen without its labels,
        (n, n_units_of_fold). Those that are the same object share their work.

    Raises
    ------
    FloatingPointError
        If a loss is not a finite number, or the precision is too low for every penalty.
    """

    def solvers_of(units: Sequence[Tensor]) -> list[_Solver]:
        different = {id(hidden): hidden for hidden in units}
        solvers = {
            which: _Solver(replace(objective, hidden=hidden), folds, solver, generator)
            for which, hidden in different.items()
        }
        return [solvers[id(hidden)] for hidden in units]

    solvers = solvers_of([objective.hidden] * len(folds) if fold_units is None else fold_units)
    chosen, honest, fold_parameters = _choose_penalties(objective, solvers, folds, penalties, solver)
    asked: list[int | None] = [None]
    if fold_units is not None:
        # All folds again, over the units that are kept.
        asked += range(len(folds))
        solvers = solvers_of([objective.hidden])
    (whole, *_) = solvers
    parameters = objective.hidden.new_zeros(1 + len(folds), whole.objective.n_parameters, len(chosen))
    if fold_units is None:
        parameters[1:] = torch.stack(fold_parameters)
    start = parameters[1:].mean(0)
    # As ``chosen`` rounds them.
    candidates = chosen.new_tensor(sorted(penalties)).tolist()
    for penalty in chosen.unique().tolist():
        labels = (chosen == penalty).nonzero()[:, 0]
        # All rows together are as well conditioned as those of all folds but one, unless their units are others: then a
        # larger penalty may be needed.
        for larger in (candidate for candidate in candidates if candidate >= penalty):
            tried = (whole(fold, larger, labels, start[:, labels]) for fold in asked)
            solutions = [solution for solution in tried if solution is not None]
            if len(solutions) == len(asked):
                break
        else:
            raise FloatingPointError(f"the hidden units are too nearly dependent for penalty={penalty:.1g}")
        parameters[: len(asked), :, labels] = torch.stack(solutions)
        chosen[labels] = larger
    weight, bias = whole.readouts(parameters)
    return Readout(weight[0], bias[0], weight[1:], bias[1:], honest, chosen)


def _choose_penalties(
    objective: Objective,
    solvers: Sequence["_Solver"],
    folds: Sequence[slice],
    penalties: Sequence[float],
    solver: str,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return each label's penalty, its honest updates with it, and the parameters of each fold's solver with it."""
    n_labels = objective.targets.shape[1]
    chosen = objective.hidden.new_full((n_labels,), math.inf)
    best_loss = objective.hidden.new_full((n_labels,), math.inf)
    honest = torch.zeros_like(objective.targets)
    parameters = [objective.hidden.new_zeros(of_fold.objective.n_parameters, n_labels) for of_fold in solvers]
    best_parameters = [zeros.clone() for zeros in parameters]
    weights = objective.normalised_weights
    everything = torch.arange(n_labels, device=chosen.device)
    # From the largest: each solution is a good start for the next penalty.
    for penalty in sorted(penalties, reverse=True):
        starts = enumerate(zip(solvers, parameters, strict=True))
        solutions = [of_fold(fold, penalty, everything, start) for fold, (of_fold, start) in starts]
        resolved = [solution for solution in solutions if solution is not None]
        if len(resolved) < len(folds):
            continue
        parameters = resolved
        parts = zip(solvers, folds, parameters, strict=True)
        update = torch.cat([of_fold.objective.select(rows).update(own) for of_fold, rows, own in parts])
        loss = weighted_sum(objective.loss.value(objective.offset + update, objective.targets), weights)
        if not loss.isfinite().all():
            raise FloatingPointError(
                f"the honest loss of {int((~loss.isfinite()).sum())} of {n_labels} readouts must be a finite number, "
                f"however: it is not with solver={solver!r}, penalty={penalty:.1g} and the "
                f"{type(objective.loss).__name__} in {loss.dtype}; if the hidden units and the estimates so far are "
                "finite, a larger penalty helps"
            )
        better = loss < best_loss
        # Large penalties can be worse than the constant alone where small ones are not; once they are small, honest
        # losses only rise.
        if penalty <= _SMALL_PENALTY and not better.any():
            break
        best_loss = torch.where(better, loss, best_loss)
        chosen[better] = penalty
        honest[:, better] = update[:, better]
        for best, own in zip(best_parameters, parameters, strict=True):
            best[:, better] = own[:, better]

    if best_loss.isinf().any():
        raise FloatingPointError(
            f"the hidden units are too nearly dependent for any of the penalties {tuple(penalties)} in "
            f"{best_loss.dtype}; give a larger one"
        )
    return chosen, honest, best_parameters


def _centred_and_compressed(objective: Objective) -> tuple[Objective, Tensor, Tensor | None]:
    """Return the objective over centred hidden units, their mean, and a basis of the rows' span if that is smaller.

    With fewer rows than units every minimiser lies in the span of the rows (the penalty is blind to rotations), so
    the problem is solved in as many dimensions as there are rows.
    """
    mean = normalise(objective.weights.mean(1, keepdim=True)).T @ objective.hidden
    hidden = objective.hidden - mean
    basis = None
    if hidden.shape[0] < hidden.shape[1]:
        basis, triangle = torch.linalg.qr(hidden.T)
        hidden = triangle.T.contiguous()
    return replace(objective, hidden=hidden), mean[0], basis


class _Solver:
    """Solves the objective, over centred hidden units, without one of the folds, or over all rows (fold None)."""

    def __init__(
        self, objective: Objective, folds: Sequence[slice], solver: str, generator: torch.Generator | None
    ) -> None:
        objective, self.mean, self.basis = _centred_and_compressed(objective)
        row_weights = objective.weights.mean(1)
        self.objective = objective
        self.folds = folds
        self.fold_moments = [Moments.of(objective.hidden[rows], row_weights[rows]) for rows in folds]
        self.total = sum(self.fold_moments[1:], start=self.fold_moments[0])
        self.solver = solver
        self.generator = generator or torch.Generator()
        shared = bool((objective.weights == objective.weights[:, :1]).all())
        is_linear = objective.loss.is_quadratic and solver == "exact"
        self.closed_form = is_linear and shared
        if self.closed_form:
            slope = objective.weights * objective.loss.slope(objective.offset, objective.targets)
            self.fold_slopes = [objective.select(rows).adjoint(slope[rows]) for rows in folds]
            self.total_slope = sum(self.fold_slopes[1:], start=self.fold_slopes[0])
        self.by_duals = is_linear and not shared and dual.is_worth_while(objective)
        if self.by_duals:
            self.kernel = symmetric_product(objective.hidden.T, objective.hidden.T)

    def __call__(self, fold: int | None, penalty: float, labels: Tensor, start: Tensor) -> Tensor | None:
        """Return the parameters of some labels, (n_units + 1, n_some); None if the penalty is below the precision.

        Newton's method begins at ``start``, of the same shape, or at what duals say if that is nearer.
        """
        moments = self.total if fold is None else self.total - self.fold_moments[fold]
        objective = self._without(fold).select_labels(labels)
        if math.isinf(penalty):
            return self._constant_only(objective, moments)
        penalty = penalty * float(self.total.mean_square)
        if self.solver == "sgd":
            return sgd.minimise(objective, moments, penalty, self.generator)
        factor = moments.factor(_typical_curvature(objective, start), penalty)
        if factor is None:
            return None
        if self.closed_form:
            slope = self.total_slope if fold is None else self.total_slope - self.fold_slopes[fold]
            return torch.cholesky_solve(-slope[:, labels] / moments.divisor, factor)
        if self.by_duals:
            solution = dual.minimise(objective, self.kernel, penalty)
            left, left_at_start = (objective.gradient(at, penalty).norm(dim=0) for at in (solution, start))
            start = torch.where(left < left_at_start, solution, start)
        return newton.minimise(objective, factor, penalty, start)

    def readouts(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and biases for the units as they were given, of parameters (..., n_units + 1, n_labels)."""
        weight, bias = parameters[..., :-1, :], parameters[..., -1, :]
        if self.basis is not None:
            weight = self.basis @ weight
        return weight, bias - self.mean @ weight

    @staticmethod
    def _constant_only(objective: Objective, moments: Moments) -> Tensor:
        constant_only = replace(objective, hidden=objective.hidden[:, :0])
        factor = Moments(moments.gram[-1:, -1:], moments.total).factor(objective.loss.max_curvature, 0.0)
        assert factor is not None  # one positive number
        constant = newton.minimise(constant_only, factor, 0.0)
        return torch.cat([constant.new_zeros(objective.n_parameters - 1, constant.shape[1]), constant])

    def _without(self, fold: int | None) -> Objective:
        """Return the objective in which the rows of a fold have no weight."""
        if fold is None:
            return self.objective
        weights = self.objective.weights.clone()
        weights[self.folds[fold]] = 0
        return replace(self.objective, weights=weights)


def _typical_curvature(objective: Objective, parameters: Tensor) -> float:
    """Return the second derivative of the loss, the mean over examples and the median over labels.

    It scales the preconditioner that the labels share: the largest curvature, which few examples have, would make its
    steps many times too short.
    """
    if objective.loss.is_quadratic:
        return objective.loss.max_curvature
    scores = objective.offset + objective.update(parameters)
    curvature = weighted_sum(objective.loss.curvature(scores, objective.targets), objective.normalised_weights)
    # A hinge whose margins all are reached has none: then the penalty alone would be left of the preconditioner.
    return max(float(curvature.median()), 1e-3 * objective.loss.max_curvature)
