"""Turn scores into log-odds: one slope and one intercept for each label, fitted to honest scores.

Platt's method (1999): maximum likelihood of sigmoid(a s + b) with his smoothed targets, which keep the log-odds of a
label without errors finite. An estimate f of a ±1 label is also tried stretched to its log-odds, log (1 + f) / (1 - f):
then an estimate that is calibrated already stays as it is.

A label with few examples of its rarer class cannot tell its slope: all such labels together tell one. Nor can a label
whose scores rank its examples backwards. Honest scores of a label of which little is learned do so often: what speaks
about a row lacks the row's own label, so that the frequency it knows is lower for a positive row. Of fresh rows such
scores tell something: they keep their order, in log-odds that hardly differ.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise.fitting.objective import normalise, weighted_sum

# Newton steps, halvings of one, and the relative progress that is none.
_STEPS, _HALVINGS, _CONVERGED = 100, 30, 1e-13
# With fewer examples of the rarer class a slope is an accident, often 0, which would undo the ranking of the scores.
_FEW = 4
# The standard deviation of the log-odds of scores that rank backwards.
_BACKWARD_SPREAD = 0.1
# Scores of a smaller standard deviation are taken as constant: what is left of them may be rounding errors.
_CONSTANT = 1e-5
# Estimates beyond are stretched along the tangent: they may pass 1, and keep their order.
_STRETCHED = 0.98


def choose_calibration(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return slopes, intercepts and whether the scores are stretched, (3, n_labels), whichever is likelier.

    A slope is 0 if the scores or the labels hardly vary.

    Parameters as in `fit_calibration`.
    """
    calibration = _likelier(scores, targets, weights)
    positive = (weights * (targets > 0)).sum(0)
    rarer = torch.minimum(positive, weights.sum(0) - positive)
    rare = (rarer > 0) & (rarer < _FEW) & (scores.amax(0) > scores.amin(0))
    if rare.sum() > 1:
        # The rarer class of each is what they have in common.
        side = torch.where(2 * positive <= weights.sum(0), 1.0, -1.0).to(scores)[rare]
        together = (scores[:, rare] * side, targets[:, rare] * side, weights[:, rare])
        slope, intercept, stretched = _likelier(*(values.reshape(-1, 1) for values in together))
        if slope > 0:
            calibration[:, rare] = torch.stack([slope.expand(len(side)), intercept * side, stretched.expand(len(side))])
    backward = (rarer > 0) & (calibration[0] == 0)
    calibration[:, backward] = _in_order(calibration[:, backward], scores[:, backward], weights[:, backward])
    return calibration


def _in_order(calibration: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Return calibrations of slope 0 with one under which log-odds differ a little; their mean stays as it is."""
    mean, deviation = _mean_and_deviation(scores.double(), weights.double())
    slope = torch.where(deviation > _CONSTANT, _BACKWARD_SPREAD / deviation, 0.0)
    return torch.stack([slope, calibration[1] - slope * mean, torch.zeros_like(slope)])


def _mean_and_deviation(scores: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    share = normalise(weights)
    mean = weighted_sum(scores, share)
    return mean, weighted_sum((scores - mean).square(), share).sqrt()


def _likelier(scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    plain, stretched = (
        torch.stack([*fit_calibration(values, targets, weights), torch.full_like(weights[0], flag).double()])
        for values, flag in ((scores.double(), 0.0), (stretch(scores.double()), 1.0))
    )

    def unlikeliness(calibration: Tensor) -> Tensor:
        log_odds = calibrate(scores.double(), calibration)
        return (weights * torch.nn.functional.softplus(-targets * log_odds)).sum(0)

    return torch.where(unlikeliness(stretched) < unlikeliness(plain), stretched, plain)


def calibrate(scores: Tensor, calibration: Tensor) -> Tensor:
    """Return the log-odds of scores, (n, n_labels), under what `choose_calibration` returned."""
    slope, intercept, stretched = calibration
    return slope * torch.where(stretched > 0, stretch(scores), scores) + intercept


def stretch(scores: Tensor) -> Tensor:
    """Return log (1 + f) / (1 - f), and its tangents beyond ±0.98."""
    inner = scores.clamp(-_STRETCHED, _STRETCHED)
    return 2 * torch.atanh(inner) + 2 / (1 - _STRETCHED**2) * (scores - inner)


def fit_calibration(scores: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return slopes a >= 0 and intercepts b, each of shape (n_labels,), in double precision.

    Parameters
    ----------
    scores : Tensor of shape (n, n_labels)
        Honest scores of the training rows.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        In units of one example: the smoothing adds one example of each kind.
    """
    scores, targets, weights = scores.double(), targets.double(), weights.double()
    positive = (weights * (targets > 0)).sum(0)
    negative = weights.sum(0) - positive
    smoothed = torch.where(targets > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    prior = ((positive + 1) / (negative + 1)).log()
    # Newton's steps are well conditioned in standard units, however little scores vary.
    mean, deviation = _mean_and_deviation(scores, weights)
    unit = torch.where(deviation > 0, deviation, 1.0)
    scores = (scores - mean) / unit
    low, high = scores.aminmax(dim=0)
    two_valued = (high > low) & ((scores == low) | (scores == high)).all(0)
    slope, intercept = torch.zeros_like(prior), prior.clone()
    for columns, solve in ((two_valued, _two_frequencies), (~two_valued, _newton)):
        part = scores[:, columns], smoothed[:, columns], weights[:, columns], prior[columns]
        slope[columns], intercept[columns] = solve(*part)
    slope = slope / unit
    intercept = intercept - slope * mean
    # Of a score that ranks backwards on honest rows no slope is likelier than 0, with the frequency.
    useful = (slope > 0) & (deviation > _CONSTANT)
    return torch.where(useful, slope, 0.0), torch.where(useful, intercept, prior)


def _two_frequencies(scores: Tensor, smoothed: Tensor, weights: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same as `_newton` in closed form, for scores of two values: each then has its frequency's log-odds."""
    low, high = scores.aminmax(dim=0)

    def log_odds(chosen: Tensor) -> Tensor:
        share = weights * chosen
        # Values that only examples of weight 0 have tell nothing.
        frequency = (share * smoothed).sum(0) / share.sum(0)
        return torch.where(share.sum(0) > 0, torch.logit(frequency), prior)

    below, above = log_odds(scores == low), log_odds(scores == high)
    slope = (above - below) / (high - low)
    return slope, below - slope * low


def _newton(scores: Tensor, smoothed: Tensor, weights: Tensor, intercept: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum-likelihood slopes and intercepts by damped Newton steps, every label at once."""
    slope, intercept = torch.zeros_like(intercept), intercept.clone()
    # Relative to the total weight; only there to keep the 2 x 2 systems of constant scores invertible.
    ridge = 1e-9 * weights.sum(0).clamp(min=1e-300)
    problem = _LogisticLoss(scores, smoothed, weights, ridge)
    # Once half of the labels have converged, the others are copied together and go on without them.
    labels = torch.arange(len(slope), device=slope.device)
    a, b = slope.clone(), intercept.clone()
    current = problem.value(a, b)
    for _ in range(_STEPS):
        step_a, step_b = problem.newton_step(a, b)
        size = torch.ones_like(a)
        value = problem.value(a - step_a, b - step_b)
        for _ in range(_HALVINGS):
            worse = (value > current).nonzero()[:, 0]
            if not len(worse):
                break
            size[worse] /= 2
            value[worse] = problem.of(worse).value((a - size * step_a)[worse], (b - size * step_b)[worse])
        improved = value < current
        a, b = torch.where(improved, a - size * step_a, a), torch.where(improved, b - size * step_b, b)
        moving = improved & (current - value > _CONVERGED * current.abs())
        current = torch.where(improved, value, current)
        slope[labels], intercept[labels] = a, b
        if 2 * moving.sum() <= len(labels):
            left = moving.nonzero()[:, 0]
            if not len(left):
                break
            labels, a, b, current, problem = labels[left], a[left], b[left], current[left], problem.of(left)
    return slope, intercept


@dataclass(frozen=True)
class _LogisticLoss:
    """The negative log-likelihood of sigmoid(a s + b) for each label, and a small ridge on a."""

    scores: Tensor
    smoothed: Tensor
    weights: Tensor
    ridge: Tensor

    def of(self, labels: Tensor) -> "_LogisticLoss":
        """Return the same for some of the labels."""
        return _LogisticLoss(
            self.scores[:, labels], self.smoothed[:, labels], self.weights[:, labels], self.ridge[labels]
        )

    def value(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the loss, (n_labels,)."""
        log_odds = a * self.scores + b
        unlikeliness = torch.nn.functional.softplus(log_odds).sub_(log_odds.mul_(self.smoothed)).mul_(self.weights)
        return unlikeliness.sum(0) + self.ridge / 2 * a**2

    def newton_step(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return what Newton's method would subtract from a and b, each (n_labels,)."""
        probability = torch.sigmoid(a * self.scores + b)
        residual = self.weights * (probability - self.smoothed)
        curvature = self.weights * probability * (1 - probability)
        gradient = torch.stack([(residual * self.scores).sum(0) + self.ridge * a, residual.sum(0)], dim=1)
        slanted = curvature * self.scores
        both = torch.stack([(slanted * self.scores).sum(0) + self.ridge, slanted.sum(0)], dim=1)
        hessian = torch.stack([both, torch.stack([both[:, 1], curvature.sum(0) + self.ridge], dim=1)], dim=1)
        step_a, step_b = torch.linalg.solve(hessian, gradient).unbind(1)
        return step_a, step_b
