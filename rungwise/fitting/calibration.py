"""Turn estimates into log-odds: one slope and one intercept for each label, fitted to honest estimates.

Platt's method (1999) finds the likeliest a and b of sigmoid(a s + b) for each label. Here s are the log-odds that an
estimate says, and labels are fitted together: the slopes a are drawn around a common one, and that around 1, which
believes the estimates, as does an intercept b of 0. All are the likeliest under these normal priors. So a label without
errors has finite log-odds, but sure estimates are not held back as they are by Platt's smoothed targets. How far labels
are from the common slope, and where log-odds stop bending, is what makes the examples likeliest whatever the slopes
(Laplace's approximation of the evidence).

A label with few examples of its rarer class cannot tell its slope and takes the common one. Honest estimates of such a
label often rank the training rows backwards: what speaks about a row lacks the row's own label, so that the frequency
it knows is lower for a positive row. It need not be so for fresh rows: slopes stay above 0, and ranks as they are.
"""

import torch
from torch import Tensor

from rungwise.fitting.objective import normalise, weighted_sum

# Newton steps, halvings of one, and a step so small that it is the last: each is about the square of the one before,
# and what the next would gain is less than rounding errors of the loss.
_STEPS, _HALVINGS, _SMALL = 100, 30, 1e-5
# Standard deviations of the priors: the common slope around 1, a label's slope around that (one of these), and its
# intercept around 0, where 2 to 4 are as good on parts of the training rows of 13 sets.
_COMMON_SPREAD, _SLOPE_SPREADS, _INTERCEPT_SPREAD = 1.0, (0.25, 0.5, 1.0), 3.0
# Only there to keep the ranks of estimates that rank backwards.
_LEAST_SLOPE = 0.01
# Estimates of a smaller standard deviation are taken as constant: what is left of it may be rounding errors.
_CONSTANT = 1e-5
# Where log-odds may go on as straight lines. Estimates of forests are shares, which may be believed to near 1; those of
# readouts pass 1 easily. A later bend, or one that a label has alone, must be likelier by so many nats: few rows hardly
# tell, and under later ones a wrong estimate that is sure costs more.
_BENDS, _LEAST_GAIN = (0.3, 0.7, 0.9, 0.98), 1.0


_Point = tuple[Tensor, Tensor, Tensor]
"""Slopes and intercepts, each (n_labels,), and the common slope."""


def calibrate(estimates: Tensor, calibration: Tensor) -> Tensor:
    """Return the log-odds of estimates, (n, n_labels), under what `fit_calibration` returned."""
    slope, intercept, bend = calibration
    return slope * torch.where(bend > 0, stretch(estimates, bend), estimates) + intercept


def stretch(estimates: Tensor, bend: Tensor) -> Tensor:
    """Return log (1 + f) / (1 - f), its tangents beyond ±bend, which is less than 1, and beyond ±1 its slope at 0."""
    within = estimates.clamp(-1, 1)
    inner = torch.minimum(torch.maximum(within, -bend), bend)
    return 2 * torch.atanh(inner) + 2 / (1 - bend.square()) * (within - inner) + 2 * (estimates - within)


def fit_calibration(estimates: Tensor, targets: Tensor, weights: Tensor, link: str) -> Tensor:
    """Return slopes, intercepts and bends, (3, n_labels), in double precision.

    Bends are 0 where estimates are log-odds already. Labels whose estimates hardly vary have slope 0 and their
    frequency, with one example of each class added.

    Parameters
    ----------
    estimates : Tensor of shape (n, n_labels)
        Honest estimates of the training rows.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        In units of one example.
    link : {"clip", "tanh"}
        What estimates are: expected ±1 labels, or nearly so, or log-odds.
    """
    estimates, weights = estimates.double(), weights.double()
    positive = (targets > 0).double()
    share = normalise(weights)
    varies = weighted_sum((estimates - weighted_sum(estimates, share)).square(), share).sqrt() > _CONSTANT
    frequency = (((weights * positive).sum(0) + 1) / ((weights * (1 - positive)).sum(0) + 1)).log()
    calibration = torch.stack([torch.zeros_like(frequency), frequency, torch.zeros_like(frequency)])
    if not varies.any():
        return calibration
    estimates, positive, weights, share = (part[:, varies] for part in (estimates, positive, weights, share))
    fits, losses = [], []
    for bend in _BENDS if link == "clip" else (0.0,):
        scores = stretch(estimates, estimates.new_tensor(bend)) if bend else estimates
        mean = weighted_sum(scores, share)
        at = torch.ones_like(mean), torch.zeros_like(mean), mean.new_ones(())
        for slope_spread in _SLOPE_SPREADS:
            at, unlikeliness = _likeliest(scores, positive, weights, slope_spread, at)
            slope = at[0].clamp(min=_LEAST_SLOPE)
            intercept = torch.where(at[0] < slope, frequency[varies] - slope * mean, at[1])
            fits.append(torch.stack([slope, intercept, torch.full_like(slope, bend)]))
            losses.append(unlikeliness)
    # By bend and spread, (n_bends, n_spreads, ...).
    fit, loss = (torch.stack(values).unflatten(0, (-1, len(_SLOPE_SPREADS))) for values in (fits, losses))
    best = [_best_bend(loss[:, spread]) for spread in range(len(_SLOPE_SPREADS))]
    total = [float(loss[:, spread].gather(0, bend[None]).sum()) for spread, bend in enumerate(best)]
    spread = total.index(min(total))
    calibration[:, varies] = fit[:, spread].gather(0, best[spread].expand(1, 3, -1))[0]
    return calibration


def _best_bend(loss: Tensor) -> Tensor:
    """Return for each label the index of its bend: that of all labels together, unless its own is clearly likelier."""
    common = 0
    for bend, total in enumerate(loss.sum(1).tolist()):
        if total < loss[common].sum() - _LEAST_GAIN:
            common = bend
    own = loss.argmin(0)
    return torch.where(loss.amin(0) < loss[common] - _LEAST_GAIN, own, common)


def _likeliest(
    scores: Tensor, positive: Tensor, weights: Tensor, slope_spread: float, start: _Point
) -> tuple[_Point, Tensor]:
    """Return the likeliest slopes, intercepts and common slope, and minus the logarithm of the evidence, (n_labels,).

    The evidence is that of each slope, by Laplace's approximation, with the intercept and the common slope at their
    likeliest: the full one has further terms of about a nat, which count with few labels alone.

    Newton's method on all of them at once. Its equations are solved by elimination: each label's intercept and slope
    depend on those of other labels through the common slope alone.
    """
    tight_common, tight_slope, tight_intercept = (
        spread**-2 for spread in (_COMMON_SPREAD, slope_spread, _INTERCEPT_SPREAD)
    )

    def losses(a: Tensor, b: Tensor, common: Tensor) -> Tensor:
        log_odds = a * scores + b
        unlikeliness = torch.nn.functional.softplus(log_odds).sub_(log_odds.mul_(positive)).mul_(weights).sum(0)
        return unlikeliness + (tight_slope * (a - common).square() + tight_intercept * b.square()) / 2

    def loss(a: Tensor, b: Tensor, common: Tensor) -> float:
        return float(losses(a, b, common).sum() + tight_common * (common - 1).square() / 2)

    def newton_step(a: Tensor, b: Tensor, common: Tensor) -> tuple[_Point, Tensor]:
        probability = torch.sigmoid(a * scores + b)
        residual = weights * (probability - positive)
        gradient_a = (residual * scores).sum(0) + tight_slope * (a - common)
        gradient_b = residual.sum(0) + tight_intercept * b
        gradient_common = tight_slope * (common - a).sum() + tight_common * (common - 1)
        curvature = weights * probability * (1 - probability)
        slanted = curvature * scores
        hessian_b, both = curvature.sum(0) + tight_intercept, slanted.sum(0)
        # Without b, and then without a:
        hessian_a = (slanted * scores).sum(0) + tight_slope - both.square() / hessian_b
        gradient_a = gradient_a - both / hessian_b * gradient_b
        hessian_common = tight_common + (tight_slope * (1 - tight_slope / hessian_a)).sum()
        step_common = (gradient_common + (tight_slope / hessian_a * gradient_a).sum()) / hessian_common
        step_a = (gradient_a + tight_slope * step_common) / hessian_a
        return (step_a, (gradient_b - both * step_a) / hessian_b, step_common), hessian_a

    now, current = start, loss(*start)
    for _ in range(_STEPS):
        step, hessian = newton_step(*now)
        small = max(float(change.abs().max()) for change in step) < _SMALL
        for halving in range(_HALVINGS):
            a, b, common = (value - change / 2**halving for value, change in zip(now, step, strict=True))
            then = a, b, common
            value = loss(*then)
            if small or value < current:
                break
        else:
            break
        now, current = then, value
        if small:
            break
    return now, losses(*now) + (hessian / tight_slope).log() / 2
