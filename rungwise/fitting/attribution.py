"""Which stream entries an update stands on: the honest loss that is lost when one entry is shuffled among the rows.

Permutation importance (Breiman, 2001), with two differences: it speaks of one block's update, so it sees the stream
that this block saw, and each row is judged by the readout that was not fitted to the row's fold.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from rungwise.fitting.folds import evenly_spaced
from rungwise.fitting.objective import normalise, weighted_sum
from rungwise.fitting.readout import Readout

# A rise of the loss by a fifth of the largest, which makes a parent, shows on some hundred rows.
_MAX_ROWS = 500
# Of entries times rows; wide tables make do with fewer rows.
_MAX_SHUFFLED = 250_000


def shuffle_importance(
    features: Callable[[Tensor], Tensor],
    stream: Tensor,
    readout: Readout,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    folds: Sequence[slice],
    generator: torch.Generator,
) -> Tensor:
    """Return the rise of the honest loss of each label when each stream entry is shuffled, (n_entries, n_labels).

    Parameters
    ----------
    features : callable
        The block's hidden layer.
    stream : Tensor of shape (n, n_entries)
        Rows sorted so that each fold is a run of rows.
    readout : Readout
    labels : Tensor of shape (n_labels,)
        Indices of the labels to speak about.
    loss : callable
        Maps updates (n_rows, n_labels) and row indices (n_rows,) to weighted losses (n_labels,).
    folds : sequence of slice
    generator : torch.Generator
    """
    n, n_entries = stream.shape
    rows = evenly_spaced(n, max(len(folds), min(_MAX_ROWS, _MAX_SHUFFLED // n_entries))).to(stream.device)
    borders = torch.tensor([0, *(fold.stop for fold in folds)], device=rows.device)
    fold_rows = [slice(start, stop) for start, stop in pairwise(torch.searchsorted(rows, borders).tolist())]
    sample = stream[rows]

    weights, biases = readout.fold_weight[:, :, labels], readout.fold_bias[:, labels]

    def honest_loss(hidden: Tensor) -> Tensor:
        parts = [torch.addmm(b, hidden[members], w) for members, w, b in zip(fold_rows, weights, biases, strict=True)]
        return loss(torch.cat(parts), rows)

    responses = features.responses(sample) if hasattr(features, "responses") else _responses(features, sample)
    unshuffled = honest_loss(features(sample))
    rise = stream.new_zeros(n_entries, len(labels))
    order = torch.randperm(len(rows), generator=generator).to(rows.device)
    for entry in range(n_entries):
        rise[entry] = honest_loss(responses(entry, sample[order, entry])) - unshuffled
    return rise


def _responses(features: Callable[[Tensor], Tensor], stream: Tensor) -> Callable[[int, Tensor], Tensor]:
    """Return the hidden units as a function of one entry's values, for layers that have no quicker way."""

    def changed(entry: int, values: Tensor) -> Tensor:
        other = stream.clone()
        other[:, entry] = values
        return features(other)

    return changed


def sampled_loss(
    loss: Callable[[Tensor, Tensor], Tensor], estimates: Tensor, targets: Tensor, weights: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function of (updates, rows) that `shuffle_importance` asks for."""

    def weighted_loss(update: Tensor, rows: Tensor) -> Tensor:
        return weighted_sum(loss(estimates[rows] + update, targets[rows]), normalise(weights[rows]))

    return weighted_loss
