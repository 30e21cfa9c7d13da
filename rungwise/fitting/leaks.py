"""Which proposals only seem to be good, because they read back the labels that honest estimates leave out.

An honest estimate of a row is that of all rows, less what the row's own label would add to it. What knows the former,
as a smooth function of few columns may, can tell the label from the difference, and its honest loss falls. New rows
show no such difference. So what a proposal says of a row without its labels is asked for again at what the network says
about the row, where the blocks below have seen them: that makes it better, unless it counted on their absence.
"""

from collections.abc import Sequence

from torch import Tensor

from rungwise.fitting.proposals import Proposal
from rungwise.fitting.training import Training

# How much larger the loss must be: beyond an accident of rows, in standard errors, and by a share of the honest one.
_STANDARD_ERRORS, _LEAST_SHARE = 2.0, 0.01


def without_leaks(training: Training, labels: Tensor, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals whose loss is not clearly larger where the blocks below have seen a row's labels.

    Judged for all of these labels together, on the rows of which `Training` knows what the network says.
    """
    if not training.reports:  # there are no estimates to read from
        return list(proposals)
    rows, stream, seen = training.seen_rows, training.stream, training.seen
    targets, weights = training.targets[rows][:, labels], training.weights[rows][:, labels]
    unit, value = training.grouping.unit, training.loss.value

    def losses(proposal: Proposal, entries: Tensor, so_far: Tensor) -> Tensor:
        estimates = proposal.honest_at(entries, rows)
        if proposal.kept:
            estimates = estimates + so_far[:, labels]
        return (weights * value(estimates, targets)).sum(1)

    def leaks(proposal: Proposal) -> bool:
        # Not the proposal's own estimates: where labels have chosen its units, these are of other units.
        honest = losses(proposal, stream.entries[rows], stream.estimates[rows])
        worse = losses(proposal, seen.entries, seen.estimates) - honest
        # Copies of a row, and rows of one group, are not independent.
        of_units = worse.new_zeros(len(unit)).index_add_(0, unit[rows], worse)
        least = max(_STANDARD_ERRORS * float(of_units.norm()), _LEAST_SHARE * float(honest.sum()))
        return float(worse.sum()) > least

    return [proposal for proposal in proposals if not leaks(proposal)]
