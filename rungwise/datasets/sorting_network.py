"""Sorted bits, with the wires of a sorting network as labels.

A comparator of two bits is an and (the smaller one) and an or (the larger one).
"""

from collections.abc import Iterator

import numpy as np

from rungwise.datasets._logic import LogicGate
from rungwise.datasets._validation import RandomState, check_whole
from rungwise.datasets.circuit import make_circuit
from rungwise.datasets.netlist import Netlist
from rungwise.theory.hierarchical_model import HierarchicalModel


def make_sorting_network(
    n_samples: int = 1000,
    n_bits: int = 24,
    shuffle: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make random bits and sort them, with every output of every comparator as a label.

    The network is Batcher's odd-even merge sort in its form for any number of wires (merge exchange; Knuth, The Art of
    Computer Programming, volume 3, algorithm 5.2.2M): t (t + 1) / 2 steps, t = ⌈log2 n_bits⌉, of at most n_bits / 2
    comparators each. With 24 bits there are 127 comparators, hence 254 labels, of depth 15.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_bits : int, at least 2
        Number of bits to be sorted.
    shuffle : bool
        Whether the labels (columns of Y) are in random order rather than step by step.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_bits), of ±1
        Uniformly random bits.
    Y : int8 array of shape (n_samples, 2 * n_comparators), of {0, 1}
        "sorted_0", …, "sorted_{n_bits - 1}" are the bits in ascending order; "min_s_w" and "max_s_w" are what the
        comparator of step s puts on wire w. ``model(X)`` gives the same as ±1.
    model : HierarchicalModel
        The truth, in the order of Y's columns: ``model.level`` is the logical depth.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Labels far from the middle are lopsided: "sorted_k" is true if at most k of the bits are false, so that "sorted_0"
    is true in one of 2 ** n_bits cases only.

    Examples
    --------
    >>> X, Y, model = make_sorting_network(n_samples=100, random_state=0)
    >>> X.shape, Y.shape, model.level.max()
    ((100, 24), (100, 254), np.int64(15))
    >>> in_order = [model.label_names.index(f"sorted_{k}") for k in range(24)]
    >>> bool((Y[:, in_order] == np.sort(X > 0, axis=1)).all())
    True
    """
    netlist = _sorting_network(check_whole("n_bits", n_bits, 2))
    return make_circuit(netlist, n_samples, shuffle, random_state)


def _sorting_network(n_bits: int) -> Netlist:
    comparators = list(_merge_exchange(n_bits))
    # The last comparator on a wire, by index, gives the sorted bit.
    last_on = {wire: index for index, (_, low, high) in enumerate(comparators) for wire in (low, high)}
    inputs = tuple(f"x{wire}" for wire in range(n_bits))
    wires, gates = list(inputs), []
    for index, (step, low, high) in enumerate(comparators):
        pair = (wires[low], wires[high])
        for wire, kind, name in ((low, "and", "min"), (high, "or", "max")):
            wires[wire] = f"sorted_{wire}" if last_on[wire] == index else f"{name}_{step}_{wire}"
            gates.append(LogicGate(wires[wire], kind, pair))
    return Netlist(inputs, tuple(wires), tuple(gates))


def _merge_exchange(n_wires: int) -> Iterator[tuple[int, int, int]]:
    """Yield (step, wire of the smaller, wire of the larger) of each comparator; letters are those of the book."""
    largest_power = 1 << ((n_wires - 1).bit_length() - 1)
    step, p = 1, largest_power
    while p > 0:
        q, r, d = largest_power, 0, p
        while True:
            yield from ((step, i, i + d) for i in range(n_wires - d) if i & p == r)
            step += 1
            if q == p:
                break
            q, r, d = q // 2, p, q - p
        p //= 2
