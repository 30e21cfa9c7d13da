"""Blend what several kinds of features say about a label: convex weights under which the honest rows are likeliest.

The estimates of a label, read as probabilities, are the components of a mixture (a linear pool of opinions), and its
weights are those of greatest likelihood, found by expectation maximisation (Dempster, Laird and Rubin, 1977).
Likelihood punishes confident errors, which squared loss hardly sees and rankings suffer from. The weights are drawn
towards those that all labels together prefer: a label with few positives takes the common weights, one with many its
own.
"""

import torch
from torch import Tensor

# The common weights count as much as so many examples of a label's rarer class.
_PRIOR_EXAMPLES = 10.0
_STEPS = 40
# No finite sample can tell a candidate that it is never wrong.
_LEAST_PROBABILITY = 0.005
# A kind that hardly speaks is not worth the units that it costs.
_LEAST_SHARE = 0.02


def blend(expected: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return convex weights of the candidates for each label, (n_candidates, n_labels).

    Parameters
    ----------
    expected : Tensor of shape (n_candidates, n, n_labels)
        The candidates' honest expectations of the labels, in [-1, 1].
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        In units of one example.
    """
    # Label by label, so that the passes over them below are batched matrix products of what lies together.
    agreement = torch.where(targets > 0, expected, -expected).permute(2, 0, 1).contiguous()
    probability = agreement.add_(1).div_(2).clamp_(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    total = weights.sum(0)
    positive = (weights * (targets > 0)).sum(0)
    rarer = torch.minimum(positive, total - positive).clamp(min=1)
    prior = (total.clamp(min=1) * _PRIOR_EXAMPLES / rarer)[:, None]
    weights = weights.T.contiguous()
    common = _likeliest(probability, weights)
    own = _likeliest(probability, weights, common * prior)
    own = torch.where(own < _LEAST_SHARE, 0.0, own)
    return (own / own.sum(1, keepdim=True)).T


def _likeliest(probability: Tensor, weights: Tensor, prior: Tensor | None = None) -> Tensor:
    """Return the mixture weights s that maximise Σ_i w_i log(Σ_k s_k q_ki) + Σ_k c_k log s_k.

    Parameters
    ----------
    probability : Tensor of shape (n_labels, n_candidates, n)
        q, what the candidates gave the labels as they are.
    weights : Tensor of shape (n_labels, n)
        w.
    prior : Tensor of shape (n_labels, n_candidates), optional
        c. Without it, one set of weights for all labels together, (1, n_candidates).
    """
    share = torch.full_like(probability[:, :, 0], 1 / probability.shape[1])
    for _ in range(_STEPS):
        mixture = torch.bmm(share[:, None], probability)[:, 0]
        count = share * torch.bmm(probability, (weights / mixture)[:, :, None])[:, :, 0]
        if prior is None:
            count = count.sum(0, keepdim=True).expand_as(share)
        else:
            count = count + prior
        share = count / count.sum(1, keepdim=True)
    return share if prior is not None else share[:1]
