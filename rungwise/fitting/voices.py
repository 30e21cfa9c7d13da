"""How loudly each kind of features speaks in a block: convex weights for each label, and perhaps one kind not at all.

`blend` takes estimates as they are, and a mixture of them is likelier the surer they are. Forests and kernels are less
sure than they could be; what is surer takes shares from them even if it knows less. What counts in the end is the blend
once it is calibrated: a kind without which that is better, beyond what would be an accident, does not speak.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rungwise.fitting.blend import blend
from rungwise.fitting.calibration import calibrate, fit_calibration
from rungwise.fitting.folds import evenly_spaced
from rungwise.network import LINKS

# A smaller gain may be an accident, or be of the priors of slopes: in standard errors, and in nats of all examples.
_STANDARD_ERRORS, _LEAST_GAIN = 3.0, 1.0
# A kind speaks about all labels or none, and so many labels and rows tell which.
_JUDGED_LABELS, _JUDGED_ROWS = 50, 5000
# Of two kinds both are heard: where there are no more, a fit shall be fast, and judging took a tenth of it.
_FEWEST_RIVALS = 3


def choose_shares(
    candidates: Tensor, kinds: Sequence[str], targets: Tensor, weights: Tensor, unit: Tensor, link: str
) -> Tensor:
    """Return convex weights of the candidates for each label, (n_candidates, n_labels).

    Parameters
    ----------
    candidates : Tensor of shape (n_candidates, n, n_labels)
        Honest estimates: those so far, which are always heard, then those of each proposal.
    kinds : sequence of str
        The kind of each proposal, n_candidates - 1.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        In units of one example.
    unit : Tensor of shape (n,), int64
        Rows of one unit are not independent.
    link : {"clip", "tanh"}
    """
    read = LINKS[link](candidates)
    rivals = sorted(set(kinds))
    silent = None
    if len(rivals) >= _FEWEST_RIVALS:
        rows, labels = (
            evenly_spaced(*sizes) for sizes in ((len(unit), _JUDGED_ROWS), (targets.shape[1], _JUDGED_LABELS))
        )
        every = rows[:, None], labels
        judge = _Judge(candidates[:, *every], read[:, *every], targets[every], weights[every], unit[rows], link)
        together = judge.losses(_all_but(None, kinds))
        gains = {kind: judge.gain(together, judge.losses(_all_but(kind, kinds))) for kind in rivals}
        worst = max(rivals, key=gains.__getitem__)
        silent = worst if gains[worst] > 0 else None
    heard = _all_but(silent, kinds).to(targets.device)
    share = torch.zeros_like(candidates[:, 0])
    share[heard] = blend(read[heard], targets, weights)
    return share


def _all_but(kind: str | None, kinds: Sequence[str]) -> Tensor:
    return torch.tensor([True, *(own != kind for own in kinds)])


class _Judge:
    """Tells how good blends of some of the candidates are, once they are calibrated."""

    def __init__(
        self, candidates: Tensor, read: Tensor, targets: Tensor, weights: Tensor, unit: Tensor, link: str
    ) -> None:
        self.candidates, self.read, self.targets, self.weights = candidates, read, targets, weights
        self.link = link
        # Numbered anew, as some rows may be all that there are of their unit.
        self.unit = torch.unique(unit, return_inverse=True)[1]

    def losses(self, heard: Tensor) -> Tensor:
        """Return the logistic loss of the rows, summed over the labels, (n,)."""
        share = blend(self.read[heard], self.targets, self.weights)
        estimates = torch.einsum("pj,pij->ij", share, self.candidates[heard]).double()
        log_odds = calibrate(estimates, fit_calibration(estimates, self.targets, self.weights, self.link))
        signs = torch.where(self.targets > 0, 1.0, -1.0)
        return (self.weights * torch.nn.functional.softplus(-signs * log_odds)).sum(1)

    def gain(self, losses: Tensor, rival: Tensor) -> float:
        """Return how much larger the sum of some losses is than that of their rival; 0 if that may be an accident."""
        apart, share = losses - rival, self.weights.sum(1) / self.weights.sum()
        gain = apart.sum()
        spread = torch.zeros_like(apart).index_add_(0, self.unit, apart - share * gain).square().sum().sqrt()
        return float(gain) if gain > _STANDARD_ERRORS * spread and gain > _LEAST_GAIN else 0.0
