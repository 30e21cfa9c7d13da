"""Names of small boolean functions: which known gate of its inputs, some of them negated, a truth table is."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from rungwise.theory.boolean import conjunction, disjunction, hypercube, majority, multiplexer, parity

# How each gate is written, with the arguments {0}, {1}, {2}; of two ways to write a table the earlier one is taken.
_GATES: dict[str, np.ndarray] = {
    "{0}": np.array([-1, 1]),
    "and({0}, {1})": conjunction(2),
    "or({0}, {1})": disjunction(2),
    "xor({0}, {1})": parity(2),
    "nand({0}, {1})": -conjunction(2),
    "nor({0}, {1})": -disjunction(2),
    "xnor({0}, {1})": -parity(2),
    "majority({0}, {1}, {2})": majority(3),
    "multiplexer({0}, {1}, {2})": multiplexer(),
    "and({0}, {1}, {2})": conjunction(3),
    "or({0}, {1}, {2})": disjunction(3),
    "xor({0}, {1}, {2})": parity(3),
    "nand({0}, {1}, {2})": -conjunction(3),
    "nor({0}, {1}, {2})": -disjunction(3),
    "xnor({0}, {1}, {2})": -parity(3),
}


def name_gate(table: np.ndarray, names: Sequence[str]) -> str | None:
    """Return a truth table as a known gate of named inputs; None if it is none.

    Parameters
    ----------
    table : array of shape (2**K,) of ±1
        See `rungwise.theory.hypercube` for the order.
    names : sequence of str
        Of the K inputs. ``multiplexer(s, a, b)`` is a where s is true, else b.

    Examples
    --------
    >>> name_gate(np.array([-1, -1, 1, -1]), ["left", "right"])
    'and(left, not right)'
    >>> name_gate(np.array([-1, -1, -1, 1, -1, 1, 1, 1]), ["a", "b", "c"])
    'majority(a, b, c)'
    """
    found = _find(tuple(np.asarray(table).tolist()))
    if found is None:
        return None
    pattern, order, negated = found
    return pattern.format(*(f"not {names[i]}" if negated[i] else names[i] for i in order))


@lru_cache(maxsize=4096)
def _find(table: tuple[int, ...]) -> tuple[str, tuple[int, ...], tuple[bool, ...]] | None:
    """Return the gate, the order of its arguments, and which inputs are negated: as few as possible."""
    K = len(table).bit_length() - 1
    cube = hypercube(K)
    bit = 2 ** np.arange(K - 1, -1, -1)
    patterns = sorted(product((False, True), repeat=K), key=sum)
    for negated in patterns:
        inputs = (cube > 0) ^ np.array(negated)
        for pattern, gate in _GATES.items():
            for order in permutations(range(K)) if len(gate) == len(table) else ():
                if np.array_equal(gate[inputs[:, order] @ bit], table):
                    return pattern, order, negated
    return None
