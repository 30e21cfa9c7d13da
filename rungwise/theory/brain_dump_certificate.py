"""The hierarchy that emerges from a teacher's hints: hints of each layer as threshold functions of those just below.

Paper, "brain dump": with enough random majorities of each layer of a circuit, the majorities of layer t + 1 are
low-degree PTFs of the majorities of layer t. Here this is decided for given majorities, on every input.
"""

from collections.abc import Sequence

import numpy as np

from rungwise._validation import check_whole
from rungwise.theory.boolean import hypercube
from rungwise.theory.brain_dump import majority_hints
from rungwise.theory.certificate import LARGEST_ENUMERATED_FAN_IN, Certificate
from rungwise.theory.fit_ptf import smallest_norm_ptf
from rungwise.theory.hierarchical_model import HierarchicalModel
from rungwise.theory.polynomial import Polynomial


def certify_brain_dump(
    model: HierarchicalModel, weights: Sequence[np.ndarray], degree: int, X: np.ndarray | None = None
) -> Certificate:
    """Return the (T, K, M, B)-hierarchy that hints of a circuit of T levels satisfy.

    The hints of level 1 are fitted as polynomials of the inputs, those of each higher level as polynomials of all hints
    of the level just below, with margin 1 on every value that these take, and the smallest coefficient norm: linear
    programming decides whether there are any.

    Parameters
    ----------
    model : HierarchicalModel
        The circuit; its labels of level t are the neurons of layer t.
    weights : sequence of array of shape (n_hints, n_neurons), of {-1, 0, 1}
        For each level, lowest first, the votes of its hints on ``model.layers[t]``; see ``draw_hint_weights``.
    degree : int, at least 0
        Largest degree of a polynomial. The number of its terms is that of ``monomial_exponents``: this is for small
        circuits and few hints.
    X : array of shape (n_samples, n_inputs), of ±1, or None
        Inputs on which the hierarchy shall hold; None enumerates all, of at most 16 bits.

    Returns
    -------
    certificate : Certificate
        Its labels are the hints, level by level. A polynomial has a variable for each input (level 1) or each hint
        of the level below.

    Raises
    ------
    ValueError
        If the weights do not fit the model, there are too many inputs to be enumerated, or a hint is no PTF of that
        degree: the level below it then needs more hints, or the polynomials a higher degree.

    Examples
    --------
    >>> from rungwise.theory.boolean import multiplexer
    >>> from rungwise.theory.brain_dump import draw_hint_weights
    >>> from rungwise.theory.hierarchical_model import LabelFunction
    >>> choices = [(0, 1, 2), (1, 2, 3), (2, 3, 0), (3, 0, 1)]
    >>> gates = [
    ...     LabelFunction(f"g{t}_{j}", tuple(4 * t + p for p in parents), multiplexer())
    ...     for t in range(2)
    ...     for j, parents in enumerate(choices)
    ... ]
    >>> rng = np.random.default_rng(0)
    >>> weights = [draw_hint_weights(16, 4, 3, rng) for _ in range(2)]
    >>> certificate = certify_brain_dump(HierarchicalModel(4, gates), weights, degree=2)
    >>> certificate.r, certificate.K, len(certificate.polynomials)
    (2, 2, 32)
    """
    degree = check_whole("degree", degree, 0)
    weights = _check_levels(model, weights)
    inputs = _all_inputs(model.n_inputs) if X is None else np.asarray(X)
    values = model(inputs)
    below: np.ndarray = inputs
    polynomials: list[Polynomial] = []
    bounds: list[float] = []
    for level, (neurons, votes) in enumerate(zip(model.layers, weights, strict=True), start=1):
        hints = majority_hints(values[:, neurons], votes)
        # Many inputs share the values of a layer: each combination is fitted once.
        combinations = np.unique(np.hstack([below, hints]), axis=0)
        points, labels = np.split(combinations, [below.shape[1]], axis=1)
        for number, column in enumerate(labels.T):
            try:
                fitted = smallest_norm_ptf(points, column, degree)
            except ValueError as error:
                raise ValueError(f"hint {number} of level {level}: {error}") from error
            polynomials.append(fitted.polynomial)
            bounds.append(fitted.bound(points))
        below = hints
    degrees = np.array([p.degree for p in polynomials], dtype=np.int64)
    norms = np.array([p.norm for p in polynomials])
    return Certificate(
        r=len(weights),
        K=int(degrees.max()),
        M=float(norms.max()),
        B=max(bounds),
        polynomials=tuple(polynomials),
        degree=degrees,
        norm=norms,
        bound=np.array(bounds),
        n_rows=None if X is None else len(inputs),
        reads_inputs_above_level_one=(),
    )


def _check_levels(model: HierarchicalModel, weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    weights = [np.asarray(votes) for votes in weights]
    shapes, widths = [votes.shape for votes in weights], [len(neurons) for neurons in model.layers]
    if len(shapes) != len(widths) or any(
        len(shape) != 2 or shape[0] == 0 or shape[1] != width for shape, width in zip(shapes, widths, strict=True)
    ):
        raise ValueError(
            f"weights must hold, for each of the {len(widths)} levels, an array with a row for each hint and a column "
            f"for each neuron, of which the levels have {widths}, however: the shapes are {shapes}"
        )
    return weights


def _all_inputs(n_inputs: int) -> np.ndarray:
    if n_inputs > LARGEST_ENUMERATED_FAN_IN:
        raise ValueError(
            f"all inputs are enumerated up to {LARGEST_ENUMERATED_FAN_IN} bits, however: n_inputs={n_inputs}; pass "
            "the rows on which the hierarchy shall hold as X"
        )
    return hypercube(n_inputs)
