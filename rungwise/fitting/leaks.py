"""Which proposals only seem to be good, because they read back the labels that honest estimates leave out.

An honest estimate of a row is that of all rows, less what the row's own label would add to it. What knows the former,
as a smooth function of few columns may, can tell the label from the difference, and its honest loss falls. New rows
show no such difference, and in what the network says about its own training rows it is the other way round.
"""

from collections.abc import Sequence

from torch import Tensor

from rungwise.fitting.proposals import Proposal
from rungwise.fitting.training import Training

# In standard errors of rows.
_BEYOND_ACCIDENT = 2.0


def without_leaks(training: Training, labels: Tensor, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals whose loss, where the network has seen a row's labels, is no larger than their honest one.

    To have seen them makes the loss smaller, unless a proposal counts on their absence. Judged for all of these labels
    together, on the rows of which `Training` knows what the network says.
    """
    if not training.reports:  # there are no estimates to read from
        return list(proposals)
    rows, fitted = training.some_rows, training.fitted
    targets, weights = training.targets[rows][:, labels], training.weights[rows][:, labels]

    def leaks(proposal: Proposal) -> bool:
        units = proposal.layer(fitted.entries)
        estimates = (units if proposal.weight is None else units @ proposal.weight) + proposal.bias
        if proposal.kept:
            estimates = estimates + fitted.estimates[:, labels]
        value = training.loss.value
        worse = (weights * (value(estimates, targets) - value(proposal.estimates[rows], targets))).sum(1)
        return bool(worse.sum() > _BEYOND_ACCIDENT * worse.square().sum().sqrt())

    return [proposal for proposal in proposals if not leaks(proposal)]
