"""Sums and products of whole numbers, with every signal of the circuit that computes them as a label.

Both have circuits of logarithmic depth as well. These are the simple ones, in which a carry walks the whole length of
the numbers, and every label is a gate of at most two others.
"""

import numpy as np

from rungwise.datasets._adder_cells import CELLS, full_adder, half_adder
from rungwise.datasets._logic import LogicGate
from rungwise.datasets._validation import RandomState, check_whole
from rungwise.datasets.circuit import make_circuit
from rungwise.datasets.netlist import Netlist
from rungwise.theory.hierarchical_model import HierarchicalModel


def make_adder(
    n_samples: int = 1000,
    n_bits: int = 64,
    shuffle: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make sums of two random numbers, with every signal of a ripple-carry adder as a label.

    A half adder adds bits 0, and full adders the others, each waiting for the carry of the one before. Gates are AND,
    OR and XOR of two signals: 5 n_bits - 3 of them, of logical depth 2 n_bits - 1.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_bits : int, at least 2
        Number of bits of each of the two numbers.
    shuffle : bool
        Whether the labels (columns of Y) are in random order rather than from the least significant bit on.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, 2 * n_bits), of ±1
        Uniformly random bits "a_0", "a_1", …, then "b_0", "b_1", …, the least significant first.
    Y : int8 array of shape (n_samples, 5 * n_bits - 3), of {0, 1}
        The sum is "sum_0", …, "sum_{n_bits - 1}" and, its last bit, "carry_{n_bits - 1}"; "carry_k" is the carry out of
        bit k. ``model(X)`` gives the same as ±1.
    model : HierarchicalModel
        The truth, in the order of Y's columns: ``model.level`` is the logical depth.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> X, Y, model = make_adder(n_samples=100, n_bits=64, random_state=0)
    >>> X.shape, Y.shape, model.level.max()
    ((100, 128), (100, 317), np.int64(127))
    >>> model.parents("carry_7")
    ['generated_7', 'propagated_7']
    """
    netlist = _adder(check_whole("n_bits", n_bits, 2))
    return make_circuit(netlist, n_samples, shuffle, random_state)


def make_multiplier(
    n_samples: int = 1000,
    n_bits: int = 16,
    gates: str = "nor",
    shuffle: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make products of two random numbers, with every signal of an array multiplier as a label.

    The n² products of two bits are added up by n (n - 2) full and n half adders, which hand their sums and carries
    from row to row (Braun's array); in a last row the carry ripples. The ISCAS-85 circuit c6288 is this array
    for n = 16, of nors, but for its half adders: full ones with an input left out, which make it 2,416 gates of depth
    124, some of them constant.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_bits : int, at least 2
        Number of bits of each of the two numbers.
    gates : {"nor", "and_or_xor"}
        What adders are made of. "nor": a full adder is 9 nors; with 16 bits there are 2,368 labels, of depth 122.
        "and_or_xor": a full adder is 5 gates; with 16 bits there are 1,408 labels, of depth 60.
    shuffle : bool
        Whether the labels (columns of Y) are in random order rather than row by row.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, 2 * n_bits), of ±1
        Uniformly random bits "a_0", "a_1", …, then "b_0", "b_1", …, the least significant first.
    Y : int8 array of shape (n_samples, n_labels), of {0, 1}
        The product is "product_0", …, "product_{2 n_bits - 1}", the least significant bit first. "partial_r_c" is
        b_r and a_c; "sum_r_c" and "carry_r_c" come out of the adder in row r and column c. ``model(X)`` gives the
        same as ±1.
    model : HierarchicalModel
        The truth, in the order of Y's columns: ``model.level`` is the logical depth.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> X, Y, model = make_multiplier(n_samples=100, random_state=0)
    >>> X.shape, Y.shape, model.level.max()
    ((100, 32), (100, 2368), np.int64(122))
    >>> model.parents("sum_3_4")
    ['differ_and_carry_3_4', 'carry_alone_3_4']
    """
    if gates not in CELLS:
        raise ValueError(f"gates must be one of {', '.join(map(repr, CELLS))}, however: gates={gates!r}")
    netlist = _multiplier(check_whole("n_bits", n_bits, 2), gates)
    return make_circuit(netlist, n_samples, shuffle, random_state)


def _adder(n_bits: int) -> Netlist:
    gates = half_adder("0", "a_0", "b_0", "sum_0", "carry_0")
    for k in range(1, n_bits):
        gates += full_adder(str(k), f"a_{k}", f"b_{k}", f"carry_{k - 1}", f"sum_{k}", f"carry_{k}")
    outputs = (*(f"sum_{k}" for k in range(n_bits)), f"carry_{n_bits - 1}")
    return Netlist(_operands(n_bits), outputs, tuple(gates))


def _multiplier(n_bits: int, kind: str) -> Netlist:
    half, full = CELLS[kind]
    last = n_bits - 1
    # partial[r][c] has weight 2^(r + c), and so have the sums of row r and column c; their carries have twice that.
    partial = [["product_0" if r == c == 0 else f"partial_{r}_{c}" for c in range(n_bits)] for r in range(n_bits)]
    gates = [LogicGate(partial[r][c], "and", (f"b_{r}", f"a_{c}")) for r in range(n_bits) for c in range(n_bits)]
    sums = partial[0]
    carries: list[str] = []
    for r in range(1, n_bits):
        totals = [f"product_{r}" if c == 0 else f"sum_{r}_{c}" for c in range(last)]
        new_carries = [f"carry_{r}_{c}" for c in range(last)]
        for c in range(last):
            terms = (partial[r][c], sums[c + 1], *carries[c : c + 1])
            gates += (full if carries else half)(f"{r}_{c}", *terms, totals[c], new_carries[c])
        # Nothing else has the weight of the leftmost partial product yet.
        sums, carries = [*totals, partial[r][last]], new_carries
    for c in range(last):
        carry = f"product_{2 * n_bits - 1}" if c == last - 1 else f"carry_{n_bits}_{c}"
        terms = (sums[c + 1], carries[c], *([f"carry_{n_bits}_{c - 1}"] if c else []))
        gates += (full if c else half)(f"{n_bits}_{c}", *terms, f"product_{n_bits + c}", carry)
    return Netlist(_operands(n_bits), tuple(f"product_{k}" for k in range(2 * n_bits)), tuple(gates))


def _operands(n_bits: int) -> tuple[str, ...]:
    return tuple(f"{number}_{k}" for number in "ab" for k in range(n_bits))
