"""Formulas: a label as a polynomial threshold function of few inputs and other labels, and as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rungwise.fitting.gates import Gate
from rungwise.theory.gate_names import name_gate
from rungwise.theory.polynomial import Polynomial


@dataclass(frozen=True, eq=False)
class Formula:
    """A label as sign(p) of literals: statements about inputs or labels, +1 where true and -1 where false.

    Attributes
    ----------
    label : str
    literals : tuple of str
        The statements: the name of a label or yes-or-no input, or such as "age > 50".
    parents : tuple of int
        For every literal the row of `Hierarchy.importance` that it is about.
    polynomial : Polynomial
        p, of the least degree, and then the least norm, for which |p| >= 1 wherever the literals are ±1.
    margin : float
        The smallest y p over the training examples that are annotated with the label, y = ±1: at least 1, as the paper
        demands of a (K, M)-PTF, if the formula is right on all of them; else -|p| of the worst, at most -1, however
        many are noise. ``error`` tells how many.
    error : float
        Share of the training examples, by weight, on which the label differs: noise.
    text : str
        The right-hand side: a known gate such as "majority(a, b, c)", or else the polynomial.
    """

    label: str
    literals: tuple[str, ...]
    parents: tuple[int, ...]
    polynomial: Polynomial
    margin: float
    error: float
    text: str

    @property
    def degree(self) -> int:
        """Degree of the polynomial, the K of a (K, M)-PTF."""
        return self.polynomial.degree

    @property
    def norm(self) -> float:
        """Euclidean norm of the coefficients at margin 1, the M of a (K, M)-PTF."""
        return self.polynomial.norm

    def __str__(self) -> str:
        return f"{self.label} = {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for `from_dict`."""
        return {
            "label": self.label,
            "literals": list(self.literals),
            "parents": list(self.parents),
            "exponents": self.polynomial.exponents.tolist(),
            "coefficients": self.polynomial.coefficients.tolist(),
            "margin": self.margin,
            "error": self.error,
            "text": self.text,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Formula":
        """Return the formula that `to_dict` wrote."""
        exponents = np.array(state["exponents"], dtype=int).reshape(-1, len(state["literals"]))
        polynomial = Polynomial(exponents, np.array(state["coefficients"]))
        names, parents = tuple(state["literals"]), tuple(state["parents"])
        return cls(state["label"], names, parents, polynomial, state["margin"], state["error"], state["text"])


def gate_formula(gate: Gate, margin: float, label: str, literals: Sequence[str], parents: Sequence[int]) -> Formula:
    """Return the formula of a gate whose literals have these names and are about these parents."""
    if gate.table is not None:
        name = name_gate(np.where(gate.table.numpy(), 1, -1), literals)
    else:
        name = _name_threshold(gate, literals)
    text = name or f"sign({gate.polynomial.formula([_quoted(literal) for literal in literals])})"
    return Formula(label, tuple(literals), tuple(parents), gate.polynomial, margin, gate.error, text)


def _name_threshold(gate: Gate, literals: Sequence[str]) -> str | None:
    """Return a conjunction, disjunction or majority of literals by name; None for other thresholds."""
    weights = np.array(gate.weights)
    k = len(weights)
    if not np.array_equal(np.abs(weights), np.ones(k)):
        return None
    named = [name if weight > 0 else f"not {name}" for name, weight in zip(literals, weights, strict=True)]
    if gate.constant == 1 - k:
        if (weights < 0).all():
            return f"nor({', '.join(literals)})"
        return f"and({', '.join(named)})"
    if gate.constant == k - 1:
        if (weights < 0).all():
            return f"nand({', '.join(literals)})"
        return f"or({', '.join(named)})"
    return f"majority({', '.join(named)})" if gate.constant == 0 and k % 2 else None


def _quoted(literal: str) -> str:
    return f"[{literal}]" if " " in literal else literal
