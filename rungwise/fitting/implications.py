"""Which labels imply which: no training row has the child without the parent, and that is no accident.

With n_c rows that have child c, and a share q of rows that have parent p, labels that do not know of each other meet in
all n_c rows with probability q^n_c. The share is that among the rows of what p itself seems to imply: two children of
one rare parent meet often, though neither implies the other. Benjamini and Hochberg's rule (1995) over all pairs keeps
the accidents down to a hundredth of what is found.
"""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

_ACCIDENTS = 0.01
# Taken at a time: with 5,000 labels, a copy of as many rows is 200 MB.
_ROWS = 10_000


def find_implications(targets: Tensor, weights: Tensor, unit: Tensor) -> np.ndarray:
    """Return pairs of a label and one that it implies, int64 (n_pairs, 2), ascending; chains of them are pairs too.

    Parameters
    ----------
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
        A row tells of a label only where it is not 0.
    unit : Tensor of shape (n,), int64
        Not negative. Rows of one number are copies, or of one group: together they count as one row.

    Notes
    -----
    A label without positives implies nothing, and one without negatives is implied by nothing. Where annotations are
    missing, rows may contradict a chain a => b => c though neither link: then the weaker one is given up.

    Examples
    --------
    >>> bird = torch.tensor([1.0, -1.0]).repeat(20)
    >>> penguin = bird.where(torch.arange(40) < 20, -1)
    >>> find_implications(torch.stack([bird, penguin], dim=1), torch.ones(40, 2), torch.arange(40))
    array([[1, 0]])
    """
    n_children, n_violations, frequency = _count(targets, weights, 1 / unit.bincount()[unit])
    # A sum of shares is 0 only if each of them is: rounding cannot hide a violation.
    uncontradicted = n_violations == 0
    possible = uncontradicted & (n_children > 0)
    possible.fill_diagonal_(False)
    # How many of the rows with g have p, as g and p: where p seems to imply g, but not g to imply p.
    share = torch.where(possible.T & ~possible, 1 - n_violations / n_children, 0).amax(0)
    log_chance = (n_children.double() * share.maximum(frequency).double().log()).where(possible, torch.inf)
    found = possible & (log_chance <= _least_surprising(log_chance))
    matrices = (matrix.cpu().numpy() for matrix in (found, uncontradicted, log_chance))
    return np.argwhere(_close(*matrices))


def _count(targets: Tensor, weights: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return how often a label, by row, is present where another is annotated, and where it is absent; and frequencies.

    The first two have shape (n_labels, n_labels), the last (n_labels,). A row counts as much as ``count``, (n,), says.
    """
    n_labels = targets.shape[1]
    n_children, n_violations = targets.new_zeros(2, n_labels, n_labels, dtype=torch.float32)
    n_present, n_annotated = targets.new_zeros(2, n_labels, dtype=torch.float32)
    for part, weight, each in zip(targets.split(_ROWS), weights.split(_ROWS), count.split(_ROWS), strict=True):
        annotated = (weight > 0).float()
        present = annotated * (part > 0)
        counted = present * each[:, None]
        n_children += counted.T @ annotated
        n_violations += counted.T @ (annotated - present)
        n_present += counted.sum(0)
        n_annotated += each @ annotated
    return n_children, n_violations, n_present / n_annotated


def _least_surprising(log_chance: Tensor) -> Tensor:
    """Return the largest log-probability that Benjamini and Hochberg's rule lets pass."""
    ascending = log_chance[log_chance.isfinite()].sort().values
    n_pairs = log_chance.numel() - len(log_chance)
    rank = torch.arange(1, len(ascending) + 1, device=ascending.device)
    passed = ascending[ascending <= (_ACCIDENTS * rank.double() / n_pairs).log()]
    return passed.amax() if len(passed) else log_chance.new_tensor(-torch.inf)


def _close(found: np.ndarray, allowed: np.ndarray, log_chance: np.ndarray) -> np.ndarray:
    """Return the transitive closure of the links found, without those that would close to what is not allowed.

    Of the links in such chains the less surprising half goes, and again, until none is left. Matrices are
    (n_labels, n_labels); that of the links is sparse, as most labels imply few others.
    """
    links, allowed = csr_array(found), allowed | np.eye(len(found), dtype=bool)
    while True:
        chains = (links @ links).nonzero()
        contradicted = ~allowed[chains]
        if contradicted.any():
            wrong = _links(chains[0][contradicted], chains[1][contradicted], links.shape)
            suspect = links.multiply(wrong @ links.T + links.T @ wrong).nonzero()
            ascending = np.sort(log_chance[suspect])
            allowed[suspect] = log_chance[suspect] < ascending[len(ascending) // 2]
            links = csr_array(links.toarray() & allowed)
        else:
            apart = chains[0] != chains[1]
            longer = links + _links(chains[0][apart], chains[1][apart], links.shape)
            if longer.nnz == links.nnz:
                return links.toarray()
            links = longer


def _links(child: np.ndarray, parent: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(child), dtype=bool), (child, parent)), shape)
