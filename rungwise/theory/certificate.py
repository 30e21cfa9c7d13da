"""Certificates: which (r, K, M, B)-hierarchy a hierarchical model satisfies, with the polynomials that show it.

A certificate can be checked without trusting how it was found: each polynomial has y p >= 1 on its label's domain.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rungwise.theory.boolean import fourier_expansion, hypercube
from rungwise.theory.fit_ptf import smallest_norm_ptf
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold

if TYPE_CHECKING:
    from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction

# A threshold function of labels is judged on all 2^fan_in values of its parents up to here: 65,536 rows.
LARGEST_ENUMERATED_FAN_IN = 16


@dataclass(frozen=True, eq=False)
class Certificate:
    """An (r, K, M, B)-hierarchy: r nested sets of labels, each label a (K, M, B)-PTF of what it reads.

    Attributes
    ----------
    r : int
        Number of sets; L_i holds the labels of level <= i.
    K : int
        Largest degree of a label's polynomial.
    M : float
        Largest coefficient norm ||p||_co. Polynomials fitted at a prescribed degree have the smallest norm up to the
        solver's accuracy; an own polynomial with real inputs need not, so that M is then an upper bound.
    B : float
        Largest |p(x)|.
    polynomials : tuple of Polynomial
        For each label a polynomial of its parents with y p >= 1.
    degree : int array of shape (n_labels,)
    norm, bound : float arrays of shape (n_labels,)
        The same quantities label by label.
    n_rows : int or None
        Number of rows of X on which polynomials of real inputs were judged: the certificate holds for those labels on
        those rows only. None if it holds everywhere.
    reads_inputs_above_level_one : tuple of str
        Labels that read an input next to a label. The paper's definition lets labels above L_1 read labels only; with
        such labels the certificate is for PTFs of (x, labels of the level below), which is what the residual stream
        offers to a block. If the tuple is empty the paper's definition holds to the letter.
    """

    r: int
    K: int
    M: float
    B: float
    polynomials: tuple[Polynomial, ...]
    degree: np.ndarray
    norm: np.ndarray
    bound: np.ndarray
    n_rows: int | None
    reads_inputs_above_level_one: tuple[str, ...]


def certify_hierarchy(model: "HierarchicalModel", X: np.ndarray | None, degree: int | None) -> Certificate:
    """Return the certificate of a model; see ``HierarchicalModel.certify`` for the parameters."""
    if degree is not None and degree < 0:
        raise ValueError(f"degree must be at least 0, however: degree={degree}")
    stream = None if X is None else np.hstack([np.asarray(X, dtype=np.float64), model(X)])
    found: list[tuple[Polynomial, float]] = []
    # Circuits repeat a few gates many times: each table is certified once.
    known: dict[bytes, tuple[Polynomial, float]] = {}
    n_rows = None
    for f in model.functions:
        table = f.function.tobytes() if isinstance(f.function, np.ndarray) else None
        if table is not None and table in known:
            found.append(known[table])
            continue
        points = _all_parent_values(f, model.n_inputs)
        if points is None:
            points = _observed_parent_values(f, stream)
            n_rows = len(points)
        found.append(_certify_label(f, points, degree))
        if table is not None:
            known[table] = found[-1]
    polynomials = tuple(p for p, _ in found)
    degrees = np.array([p.degree for p in polynomials], dtype=np.int64)
    norms, bounds = np.array([p.norm for p in polynomials]), np.array([bound for _, bound in found])
    return Certificate(
        r=int(model.level.max()),
        K=int(degrees.max()),
        M=float(norms.max()),
        B=float(bounds.max()),
        polynomials=polynomials,
        degree=degrees,
        norm=norms,
        bound=bounds,
        n_rows=n_rows,
        reads_inputs_above_level_one=tuple(
            f.name
            for f, level in zip(model.functions, model.level, strict=True)
            if level > 1 and min(f.parents) < model.n_inputs
        ),
    )


def _all_parent_values(f: "LabelFunction", n_inputs: int) -> np.ndarray | None:
    """Return all values that the parents can take, or None if they are real or too many to be listed."""
    if isinstance(f.function, PolynomialThreshold):
        reads_inputs = any(p < n_inputs for p in f.parents)
        if reads_inputs or len(f.parents) > LARGEST_ENUMERATED_FAN_IN:
            return None
    return hypercube(len(f.parents))


def _observed_parent_values(f: "LabelFunction", stream: np.ndarray | None) -> np.ndarray:
    if stream is None or len(stream) == 0:
        raise ValueError(
            f"label {f.name!r} is a threshold function of real inputs (or of more than {LARGEST_ENUMERATED_FAN_IN} "
            "labels), whose margin depends on the rows: pass rows as certify(X=...), however: "
            f"X={None if stream is None else 'an array without rows'}"
        )
    return stream[:, list(f.parents)]


def _certify_label(f: "LabelFunction", points: np.ndarray, degree: int | None) -> tuple[Polynomial, float]:
    """Return a polynomial with margin 1 on the points, and its largest size there."""
    labels = f(points)
    own = PolynomialThreshold(
        f.function.polynomial if isinstance(f.function, PolynomialThreshold) else fourier_expansion(f.function)
    )
    own_will_do = degree is None or (own.polynomial.degree <= degree and own.margin(points) > 0)
    try:
        if own_will_do or degree is None:
            certified = own.with_unit_margin(points)
        else:
            certified = smallest_norm_ptf(points, labels, degree)
    except ValueError as error:
        raise ValueError(f"label {f.name!r}: {error}") from error
    return certified.polynomial, certified.bound(points)
