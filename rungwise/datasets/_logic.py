"""Logic gates as labels: and, or, exclusive or and their complements, of any number of signals."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from rungwise.datasets._gates import LARGEST_FAN_IN
from rungwise.theory.boolean import conjunction, disjunction, parity
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold

_COMPLEMENT_OF = {"nand": "and", "nor": "or", "xnor": "parity", "not": "buffer"}
_TABLES: dict[str, Callable[[int], np.ndarray]] = {
    "and": conjunction,
    "or": disjunction,
    "parity": parity,
    "buffer": conjunction,  # a single signal is the and of itself
}


@dataclass(frozen=True)
class LogicGate:
    """A signal that is a boolean function of other signals.

    Parameters
    ----------
    name : str
        The signal's name.
    kind : str
        "and", "nand", "or", "nor", "parity" (true if an odd number of the signals is), "xnor" (the complement of
        "parity"), "not" or "buffer".
    sources : tuple of str
        Names of the signals that it reads, at least one, and exactly one for "not" and "buffer". A signal may be
        listed more than once.

    Examples
    --------
    >>> LogicGate("y", "parity", ("a", "b", "a")).simplified()
    LogicGate(name='y', kind='buffer', sources=('b',))
    """

    name: str
    kind: str
    sources: tuple[str, ...]

    def simplified(self) -> "LogicGate":
        """Return the same function with each signal listed once; of kind "not", "buffer" or "constant" if it is one.

        A signal counts once in an and or an or, and twice the same cancels in an exclusive or. A "constant" reads
        nothing.
        """
        if self.kind in ("parity", "xnor"):
            sources = tuple(source for source, count in Counter(self.sources).items() if count % 2 == 1)
        else:
            sources = tuple(dict.fromkeys(self.sources))
        if len(sources) > 1:
            return LogicGate(self.name, self.kind, sources)
        if len(sources) == 1:
            return LogicGate(self.name, "not" if self.kind in _COMPLEMENT_OF else "buffer", sources)
        return LogicGate(self.name, "constant", ())

    def function(self) -> np.ndarray | PolynomialThreshold:
        """Return the function of the simplified gate's sources: a truth table, or a threshold function of many."""
        simple = self.simplified()
        # Only an exclusive or of signals that all cancel is constant: false, and true if complemented.
        kind = self.kind if simple.kind == "constant" else simple.kind
        return _function_of(kind, len(simple.sources))


@cache
def _function_of(kind: str, fan_in: int) -> np.ndarray | PolynomialThreshold:
    sign = -1 if kind in _COMPLEMENT_OF else 1
    plain = _COMPLEMENT_OF.get(kind, kind)
    if fan_in == 0:
        return np.array([-sign])
    if fan_in <= LARGEST_FAN_IN:
        return sign * _TABLES[plain](fan_in)
    return PolynomialThreshold(sign * _polynomial_of(plain, fan_in))


def _polynomial_of(kind: str, fan_in: int) -> Polynomial:
    """Return a polynomial of margin 1 for an "and", "or" or "parity", without a table of 2^fan_in entries.

    and: Σ z_i - (K - 1), which is 1 if all are true and at most -1 else; or: Σ z_i + (K - 1), likewise.
    """
    if kind == "parity":
        return parity_polynomial(fan_in)
    exponents = np.vstack([np.zeros((1, fan_in), dtype=np.int64), np.eye(fan_in, dtype=np.int64)])
    constant = fan_in - 1 if kind == "or" else 1 - fan_in
    return Polynomial(exponents, np.concatenate([[constant], np.ones(fan_in)]))


def parity_polynomial(fan_in: int) -> Polynomial:
    """Return the parity of ``fan_in`` bits as one monomial: with +1 = true, (-1)^{K-1} times the product.

    Examples
    --------
    >>> print(parity_polynomial(2))
    -x0 x1
    """
    return Polynomial(np.ones((1, fan_in), dtype=np.int64), np.array([(-1.0) ** (fan_in - 1)]))
