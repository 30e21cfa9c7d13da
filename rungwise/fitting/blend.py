"""Blend what several kinds of features say about a label: convex weights that the honest rows prefer.

The weights of a label minimise its honest loss, drawn towards those that all labels together prefer: a label with few
positives takes the common weights, one with many its own.
"""

import torch
from torch import Tensor

from rungwise.fitting.losses import Loss
from rungwise.fitting.objective import normalise, weighted_sum

# With so many examples of its rarer class, a label's own weights count as much as the common ones.
_PRIOR_EXAMPLES = 10.0
_STEPS = 300
# A kind that hardly speaks is not worth the units that it costs.
_LEAST_SHARE = 0.02


def blend(loss: Loss, candidates: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return convex weights of the candidates for each label, (n_candidates, n_labels).

    The loss is taken as quadratic around the candidates' mean, as the squared loss is.

    Parameters
    ----------
    loss : Loss
    candidates : Tensor of shape (n_candidates, n, n_labels)
        Honest estimates.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        In units of one example.
    """
    mean, shares = candidates.mean(0), normalise(weights)
    slope, curvature = shares * loss.slope(mean, targets), shares * loss.curvature(mean, targets)
    apart = candidates - mean
    gradient = torch.stack([(slope * one).sum(0) for one in apart])
    hessian = torch.stack([torch.stack([(curvature * one * other).sum(0) for other in apart]) for one in apart])
    common = _minimise_on_simplex(hessian.sum(2, keepdim=True), gradient.sum(1, keepdim=True))

    positive = (weights * (targets > 0)).sum(0)
    rarer = torch.minimum(positive, weights.sum(0) - positive)
    strength = weighted_sum(loss.value(mean, targets), shares) * _PRIOR_EXAMPLES / rarer.clamp(min=1)
    identity = torch.eye(len(candidates), dtype=hessian.dtype, device=hessian.device)
    own = _minimise_on_simplex(hessian + strength * identity[..., None], gradient - strength * common)
    own = torch.where(own < _LEAST_SHARE, 0.0, own)
    return own / own.sum(0)


def _minimise_on_simplex(hessian: Tensor, gradient: Tensor) -> Tensor:
    """Return the convex weights w, (m, n_labels), that minimise wᵀ H w / 2 + gᵀ w for each label.

    Projected gradient descent with Nesterov's momentum.

    Parameters
    ----------
    hessian : Tensor of shape (m, m, n_labels)
        Positive semidefinite.
    gradient : Tensor of shape (m, n_labels)
    """
    steepest = hessian.abs().sum(0).amax(0).clamp(min=torch.finfo(hessian.dtype).tiny)
    weights = torch.full_like(gradient, 1 / len(gradient))
    ahead, momentum = weights, 1.0
    for _ in range(_STEPS):
        before = weights
        weights = project_on_simplex(ahead - (torch.einsum("abj,bj->aj", hessian, ahead) + gradient) / steepest)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = weights + (momentum - 1) / following * (weights - before)
        momentum = following
    return weights


def project_on_simplex(points: Tensor) -> Tensor:
    """Return for each column of (m, n) the nearest non-negative column that sums to 1 (Duchi et al., 2008)."""
    ordered = points.sort(dim=0, descending=True).values
    rank = torch.arange(1, len(points) + 1, device=points.device, dtype=points.dtype)[:, None]
    excess = (ordered.cumsum(0) - 1) / rank
    n_positive = (ordered > excess).sum(0, keepdim=True)
    return (points - excess.gather(0, n_positive - 1)).clamp(min=0)
