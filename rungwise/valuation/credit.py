"""Share the fall of an error among labels that may only help together.

Of a chain of parities no label helps without the others; and of two labels that say the same, neither is missed. So
neither what a label does alone nor what it costs to do without it shows who it is that helps. The Shapley value is the
mean of what a label adds to those that came before it, over all orders in which labels may come. It is the only share
that adds up to the whole, treats equals alike, gives nothing to labels that never matter, and is linear in the game
(Shapley, 1953). Here the mean is over some random orders, cut short where nothing is left to share, as in Ghorbani and
Zou, "Data Shapley" (ICML 2019).
"""

from collections.abc import Callable, Sequence

import numpy as np

Coalition = frozenset[int]


def shared_credit(
    wrong: Callable[[Coalition], np.ndarray],
    labels: Sequence[int],
    orders: Sequence[Sequence[int]],
    matters: Callable[[np.ndarray], bool],
) -> np.ndarray:
    """Return what each label takes off each row's error, (n_orders, n_labels, n_rows).

    For every order and row they add up to what all labels take off together.

    Parameters
    ----------
    wrong : callable
        Maps a set of labels to the error of each row, (n_rows,), when those labels are there.
    labels : sequence of int
    orders : sequence of permutations of the labels
        In each the labels are taken away one after another.
    matters : callable
        Says of differences of errors, (n_rows,), whether they are more than chance. When what the labels that are left
        take off does not matter any more, they share it equally, and no more fits are made.

    Examples
    --------
    Two labels that help only together, and one that never does:

    >>> def wrong(labels):
    ...     return np.array([0.0 if labels >= {0, 1} else 1.0])
    >>> shared_credit(wrong, [0, 1, 2], [[0, 1, 2], [2, 1, 0]], lambda gain: bool(gain.any())).mean(axis=0)[:, 0]
    array([0.5, 0.5, 0. ])
    """
    column = {label: j for j, label in enumerate(labels)}
    nothing = wrong(frozenset())
    credit = np.zeros((len(orders), len(labels), len(nothing)))
    for own, order in zip(credit, orders, strict=True):
        left = list(order)
        now = wrong(frozenset(left))
        while left and matters(nothing - now):
            label = left.pop(0)
            after = wrong(frozenset(left))
            own[column[label]] = after - now
            now = after
        own[[column[label] for label in left]] = (nothing - now) / max(1, len(left))
    return credit
