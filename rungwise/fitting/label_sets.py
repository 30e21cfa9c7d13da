"""Which labels occur together: what is predicted is one of the sets of labels seen in training, unless none is likely.

Label by label, a row may be given a set of labels that contradict each other: no class of several that exclude each
other, or two. The product of the labels' probabilities, as if they were independent given x, puts more weight on sets
that never occur than these have. How much more is counted: of the rows, the share whose set no other row has is about
the probability of a set that was not seen (Good, 1953); the product's own share of unseen sets is read from honest
probabilities of the training rows. In the same way each set that was seen is counted, as far as its examples are
enough to tell it from the others that were seen. Where most rows have a set of their own, nothing is gained, and labels
are predicted one by one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

# Log-odds beyond are no surer: no sample of some thousand rows can tell.
_SUREST = 9.2
# Rows that tell the product's share of unseen sets, and most entries of the sets that are kept.
_ROWS, _MOST_ENTRIES = 2_000, 20_000_000
# A set is drawn towards what all seen sets have in common, which counts as so many examples of it.
_PRIOR_EXAMPLES = 10
# Labels stand on estimates of others: part of what sets them apart is in their probabilities already.
_OWN = 0.5
_CHUNK = 1_000
# Rounding errors of a sum of log-odds.
_NO_LOSS = 1e-9


@dataclass(frozen=True)
class LabelSets:
    """Sets of labels seen in training, and how much likelier they are than the product of probabilities says.

    Attributes
    ----------
    sets : ndarray of bool, shape (n_sets, n_labels)
    surplus : ndarray of shape (n_sets,)
        Logarithms, in comparison with the sets that were not seen.
    """

    sets: np.ndarray
    surplus: np.ndarray

    @classmethod
    def none(cls, n_labels: int) -> "LabelSets":
        """Return that labels are predicted one by one."""
        return cls(np.empty((0, n_labels), dtype=bool), np.empty(0))

    def decode(self, log_odds: np.ndarray) -> np.ndarray:
        """Return the likeliest set of labels of each row, bool (n, n_labels), for log-odds of that shape."""
        one_by_one = log_odds > 0
        if not len(self.sets):
            return one_by_one
        sure = np.clip(log_odds, -_SUREST, _SUREST)
        most = np.maximum(sure, 0).sum(axis=1)
        decoded = one_by_one.copy()
        for start in range(0, len(sure), _CHUNK):
            rows = slice(start, start + _CHUNK)
            # What the product loses by the set, compared with label by label.
            loss = most[rows, None] - sure[rows] @ self.sets.T
            gain = self.surplus - loss
            best = gain.argmax(axis=1)
            # The likeliest set that was not seen is label by label. If that was seen, no other is looked for.
            taken = (gain[np.arange(len(best)), best] > 0) | (loss.min(axis=1) < _NO_LOSS)
            decoded[rows][taken] = self.sets[best[taken]]
        return decoded


def find_label_sets(log_odds: Tensor, targets: Tensor, weights: Tensor, unit: Tensor) -> LabelSets:
    """Return the label sets of the training rows.

    Parameters
    ----------
    log_odds : Tensor of shape (n, n_labels)
        Honest and calibrated ones of the training rows.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        Only rows without any 0 tell of sets.
    unit : Tensor of shape (n,), int64
        Rows of one number are copies, or of one group: a set that they share counts once.
    """
    n_labels = targets.shape[1]
    complete = (weights > 0).all(1).nonzero()[:, 0]
    if n_labels == 1 or not len(complete):
        return LabelSets.none(n_labels)
    present = (targets[complete] > 0).cpu().numpy()
    sets, which = np.unique(present, axis=0, return_inverse=True)
    pairs = np.unique(np.stack([which.ravel(), unit[complete].cpu().numpy()]), axis=1)
    count = np.bincount(pairs[0], minlength=len(sets))
    n_unseen = int((count == 1).sum())
    if 2 * n_unseen > count.sum() or sets.size > _MOST_ENTRIES:
        return LabelSets.none(n_labels)
    some = complete[:: -(-len(complete) // _ROWS)]
    sure = log_odds[some].double().clamp(-_SUREST, _SUREST)
    kept = torch.from_numpy(sets).to(sure)
    share = (sure @ kept.T - softplus(sure).sum(1, keepdim=True)).exp().mean(0).numpy(force=True)
    n_seen, n_product = count.sum() - n_unseen, count.sum() * share.sum()
    # As if one more row had been seen of either kind.
    ratio = (n_seen + 1) / (n_product + 1)
    common = np.log(ratio * (count.sum() - n_product + 1) / (n_unseen + 1))
    # Some of a set's examples stand for the sets that were not seen.
    of_set, of_product = count * n_seen / count.sum(), count.sum() * share
    own = np.log((of_set / ratio + _PRIOR_EXAMPLES) / (of_product + _PRIOR_EXAMPLES))
    return LabelSets(sets, common + _OWN * own)
