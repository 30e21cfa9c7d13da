"""A random hierarchy of labels: every label is a small gate of labels of the level just below.

In the paper's terms (arXiv 2601.00455) an (n_levels, K, 1)-hierarchy, K the largest fan-in: every boolean function of
K bits is a (K, 1, 1)-PTF.
"""

from collections.abc import Sequence

import numpy as np

from rungwise.datasets._gates import Gate
from rungwise.datasets._hierarchy_draw import draw_gates
from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators, uniform_bits
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction

# Inputs on which labels are judged: a mean over so many has a standard error of at most 0.011.
N_REFERENCE = 8192


def make_hierarchy(
    n_samples: int = 1000,
    n_inputs: int = 20,
    n_levels: int = 8,
    n_labels_per_level: int = 6,
    kinds: Sequence[str] = ("majority", "parity", "multiplexer"),
    fan_in: int = 3,
    max_bias: float = 0.6,
    shuffle: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make labels of which each is a random gate of labels of the level just below (level 1: of the inputs).

    No label is nearly constant, and none nearly equals an input, another label or the complement of one: gates are
    redrawn until this holds on 8,192 random inputs that are not among the returned ones. The model therefore
    depends on the seed and the shape of the hierarchy, not on ``n_samples``.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_inputs : int, at least 2
        Number of input bits.
    n_levels : int, at least 1
        Number of levels.
    n_labels_per_level : int, at least 1
        Labels on each level; at least the largest fan-in of a gate if there are more levels than one.
    kinds : sequence of str
        Kinds of gates, dealt out in turn: "majority" (of ``fan_in``), "parity" (of 2), "multiplexer" (of 3), "and",
        "or" (of 2), "ptf" (the sign of a random polynomial of degree 1 or 2 in ``fan_in`` parents).
    fan_in : int, from 2 to 15, odd for majorities
        Number of parents of a "majority" and of a "ptf".
    max_bias : float in (0, 1)
        Largest |mean| of a label (as ±1) over uniformly random inputs, as measured on the internal sample: at most
        about 0.03 off.
    shuffle : bool
        Whether the labels (columns of Y) are in random order rather than level by level.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_inputs), of ±1
        Uniformly random bits.
    Y : int8 array of shape (n_samples, n_levels * n_labels_per_level), of {0, 1}
        Labels, in scikit-learn's habit: 1 is true. ``model(X)`` gives them as ±1.
    model : HierarchicalModel
        The truth, in the order of Y's columns: ``model.level``, ``model.edges``, ``model.functions[j].kind``.
        A level is the label's place in this circuit. Chance can make a label a simple function of lower ones
        as well: a parity of two parities that share a parent is a parity of two labels further down.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or a level cannot be filled with labels that differ enough.

    Examples
    --------
    >>> X, Y, model = make_hierarchy(n_samples=100, n_inputs=10, n_levels=3, random_state=0)
    >>> X.shape, Y.shape, sorted(set(model.level.tolist()))
    ((100, 10), (100, 18), [1, 2, 3])
    >>> bool((model(X) == 2 * Y - 1).all())
    True
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    n_inputs = check_whole("n_inputs", n_inputs, 2)
    n_levels = check_whole("n_levels", n_levels, 1)
    n_labels_per_level = check_whole("n_labels_per_level", n_labels_per_level, 1)
    fan_in = check_whole("fan_in", fan_in, 2)
    if not 0 < max_bias < 1:
        raise ValueError(f"max_bias must lie strictly between 0 and 1, however: max_bias={max_bias}")
    gates = _check_kinds(kinds, fan_in)
    _check_room(gates, n_inputs, n_labels_per_level, n_levels)

    structure_rng, reference_rng, order_rng, rows_rng = spawn_generators(random_state, 4)
    reference = uniform_bits(reference_rng, N_REFERENCE, n_inputs)
    drawn = draw_gates(structure_rng, reference, n_levels, n_labels_per_level, gates, max_bias)

    # order[j] is the drawn gate that becomes column j; names follow the columns, so that they tell nothing.
    order = order_rng.permutation(len(drawn)) if shuffle else np.arange(len(drawn))
    functions = [
        LabelFunction(f"label_{column}", gate.parents, gate.table, gate.kind)
        for column, gate in zip(np.argsort(order), drawn, strict=True)
    ]
    model = HierarchicalModel(n_inputs, functions).permuted(order)
    X = uniform_bits(rows_rng, n_samples, n_inputs)
    return X, as_indicators(model(X)), model


def _check_kinds(kinds: Sequence[str], fan_in: int) -> list[Gate]:
    if isinstance(kinds, str) or len(kinds) == 0:
        raise ValueError(f"kinds must be a sequence of kinds such as ('majority', 'parity'), however: kinds={kinds!r}")
    return [Gate(kind, fan_in) for kind in kinds]


def _check_room(gates: list[Gate], n_inputs: int, n_labels_per_level: int, n_levels: int) -> None:
    widest = max(gates, key=lambda gate: gate.fan_in)
    if n_inputs < widest.fan_in:
        raise ValueError(
            f"n_inputs must be at least {widest.fan_in}, the number of parents of a {widest.kind!r}, "
            f"however: n_inputs={n_inputs}"
        )
    if n_levels > 1 and n_labels_per_level < widest.fan_in:
        raise ValueError(
            f"n_labels_per_level must be at least {widest.fan_in}, the number of parents of a {widest.kind!r} on the "
            f"next level, however: n_labels_per_level={n_labels_per_level}"
        )
