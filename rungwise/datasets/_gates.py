"""The gates of ``make_hierarchy``: boolean functions of a few labels of the level below."""

from collections.abc import Callable
from math import comb, perm

import numpy as np

from rungwise.theory.boolean import conjunction, disjunction, hypercube, majority, multiplexer, parity
from rungwise.theory.polynomial import monomial_exponents, monomials

# A gate's table has 2^fan_in entries and a label's certificate as many terms; beyond this nobody can read them.
LARGEST_FAN_IN = 15

GATE_KINDS = ("majority", "parity", "multiplexer", "and", "or", "ptf")


class Gate:
    """One kind of gate: how many parents it reads, and how to draw its truth table.

    Parameters
    ----------
    kind : str
        One of ``GATE_KINDS``.
    fan_in : int
        Number of parents of a "majority" (odd) and of a "ptf"; the others have their own: 3 for "multiplexer", 2 else.

    Raises
    ------
    ValueError
        If the kind is unknown or ``fan_in`` does not suit it.
    """

    def __init__(self, kind: str, fan_in: int) -> None:
        if kind not in GATE_KINDS:
            raise ValueError(f"kinds must be taken from {', '.join(GATE_KINDS)}, however: kinds has {kind!r}")
        if kind in ("majority", "ptf"):
            if not 2 <= fan_in <= LARGEST_FAN_IN:
                raise ValueError(
                    f"fan_in must be from 2 to {LARGEST_FAN_IN} for kinds with {kind!r}, however: fan_in={fan_in}"
                )
            if kind == "majority" and fan_in % 2 == 0:
                raise ValueError(
                    f"fan_in must be an odd number, however: fan_in={fan_in} (an even number of votes can be tied; "
                    "choose an odd one or leave 'majority' out of kinds)"
                )
            self.fan_in = fan_in
        else:
            self.fan_in = 3 if kind == "multiplexer" else 2
        self.kind = kind

    def table(self, rng: np.random.Generator) -> np.ndarray:
        """Return the truth table, int8 ±1 of shape (2**fan_in,); only that of a "ptf" is random."""
        if self.kind == "ptf":
            return random_ptf_table(self.fan_in, rng)
        return _FIXED_TABLES[self.kind](self.fan_in)

    def n_choices(self, n_below: int) -> int:
        """Return how many ways there are to choose the parents among ``n_below`` (order counts for a multiplexer)."""
        if self.kind == "multiplexer":
            return perm(n_below, 3)
        return comb(n_below, self.fan_in)


_FIXED_TABLES: dict[str, Callable[[int], np.ndarray]] = {
    "majority": majority,
    "parity": parity,
    "multiplexer": lambda fan_in: multiplexer(),
    "and": conjunction,
    "or": disjunction,
}


def random_ptf_table(fan_in: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the sign of a random polynomial of degree 1 or 2 that depends on each of its inputs.

    The polynomial is multilinear, without constant term, with independent standard normal coefficients.

    Parameters
    ----------
    fan_in : int, at least 2
        Number of inputs.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    table : int8 array of shape (2**fan_in,), of ±1

    Examples
    --------
    >>> random_ptf_table(2, np.random.default_rng(0)).shape
    (4,)
    """
    while True:
        exponents = monomial_exponents(fan_in, int(rng.integers(1, 3)), multilinear=True)[1:]
        values = monomials(hypercube(fan_in), exponents) @ rng.standard_normal(len(exponents))
        table = np.where(values >= 0, 1, -1).astype(np.int8)
        if _reads_every_input(table, fan_in):
            return table


def _reads_every_input(table: np.ndarray, fan_in: int) -> bool:
    """Return whether flipping any one input changes the table somewhere."""
    cube = table.reshape((2,) * fan_in)
    return all((cube != np.flip(cube, axis)).any() for axis in range(fan_in))
