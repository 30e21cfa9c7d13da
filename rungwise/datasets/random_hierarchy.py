"""The Random Hierarchy Model of Cagnetta, Petrini, Tomasini, Favero and Wyart, arXiv 2307.02129.

A random grammar: a class is written as s symbols, each of these as s symbols of the level below, and so on. Each symbol
has m ways to be written (synonyms), and no two symbols share one. The hidden symbols are the labels.
"""

from itertools import product

import numpy as np

from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold


def make_random_hierarchy(
    n_samples: int = 1000,
    n_classes: int = 4,
    n_symbols: int = 4,
    n_synonyms: int = 2,
    branching: int = 2,
    depth: int = 3,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make strings of a random grammar, labelled with their class and all hidden symbols.

    A row starts as a uniformly random class. At every level each symbol is replaced by one of its synonyms, a
    tuple of ``branching`` symbols, until the string has ``branching ** depth`` symbols. Tuples are drawn without
    repetition when the grammar is made, once per level, the same at all positions.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_classes : int, at least 2
        Number of classes; the paper's n_c.
    n_symbols : int, at least 2
        Number of symbols of every level below the classes; the paper's v.
    n_synonyms : int, at least 1
        Number of tuples that mean the same; the paper's m. At most n_symbols ** branching tuples exist, so that
        ``n_synonyms * max(n_classes, n_symbols)`` must not exceed this (``n_classes`` alone if depth is 1).
    branching : int, at least 2
        Length of a tuple; the paper's s.
    depth : int, at least 1
        Number of times that symbols are replaced; the paper's L.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another grammar and other rows at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, branching ** depth * n_symbols), of ±1
        The string, one-hot: column ``position * n_symbols + symbol`` is +1 where that symbol stands, else -1.
        ±1 rather than {0, 1}, so that ``model(X)`` is exact.
    Y : int8 array of shape (n_samples, n_labels), of {0, 1}
        One-hot hidden symbols of level 1, …, depth - 1, position by position, then the one-hot class.
        ``model(X)`` gives the same as ±1.
    model : HierarchicalModel
        The truth. Each label is an or of ``n_synonyms`` ands of ``branching`` indicators of the level below, a PTF of
        degree ``branching``. Names are "level1_pos0_symbol3" and "class_2"; inputs "pos0_symbol3".

    Raises
    ------
    ValueError
        If a parameter is out of its range, or there are too few tuples.

    Notes
    -----
    Where not all tuples have a meaning, a symbol may occur in no tuple of the level above; its labels are then 0.

    Examples
    --------
    >>> X, Y, model = make_random_hierarchy(n_samples=50, n_symbols=3, n_classes=3, depth=2, random_state=0)
    >>> X.shape, Y.shape, model.level.max()
    ((50, 12), (50, 9), np.int64(2))
    >>> model.label_names[0], model.label_names[-1]
    ('level1_pos0_symbol0', 'class_2')
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    n_classes = check_whole("n_classes", n_classes, 2)
    n_symbols = check_whole("n_symbols", n_symbols, 2)
    n_synonyms = check_whole("n_synonyms", n_synonyms, 1)
    branching = check_whole("branching", branching, 2)
    depth = check_whole("depth", depth, 1)
    n_written = [n_symbols] * (depth - 1) + [n_classes]
    _check_tuples(max(n_written), n_symbols, n_synonyms, branching)

    grammar_rng, rows_rng = spawn_generators(random_state, 2)
    grammar = [_draw_rules(grammar_rng, n, n_symbols, n_synonyms, branching) for n in n_written]
    model = _model_of(grammar, n_symbols)
    X = _write_strings(rows_rng, n_samples, grammar, n_symbols)
    return X, as_indicators(model(X)), model


def _check_tuples(n_written: int, n_symbols: int, n_synonyms: int, branching: int) -> None:
    if n_synonyms * n_written > n_symbols**branching:
        raise ValueError(
            f"n_synonyms must be at most {n_symbols**branching // n_written}, as {n_written} symbols or classes share "
            f"{n_symbols}**{branching} = {n_symbols**branching} tuples, however: n_synonyms={n_synonyms}; lower it or "
            "n_classes, or raise n_symbols or branching"
        )


def _draw_rules(
    rng: np.random.Generator, n_written: int, n_symbols: int, n_synonyms: int, branching: int
) -> np.ndarray:
    """Return the tuples of one level, (n_written, n_synonyms, branching), no tuple twice."""
    codes = rng.choice(n_symbols**branching, size=(n_written, n_synonyms), replace=False)
    # The digits of a code in base n_symbols are its tuple.
    return codes[..., None] // n_symbols ** np.arange(branching) % n_symbols


def _write_strings(rng: np.random.Generator, n_samples: int, grammar: list[np.ndarray], n_symbols: int) -> np.ndarray:
    """Draw classes and write them out; returns the one-hot strings as ±1."""
    string = rng.integers(len(grammar[-1]), size=(n_samples, 1))
    for rules in reversed(grammar):
        synonym = rng.integers(rules.shape[1], size=string.shape)
        # (n_samples, n_positions, branching) -> (n_samples, n_positions * branching)
        string = rules[string, synonym].reshape(n_samples, -1)
    one_hot = string[:, :, None] == np.arange(n_symbols)
    return np.where(one_hot, 1, -1).astype(np.float32).reshape(n_samples, -1)


def _model_of(grammar: list[np.ndarray], n_symbols: int) -> HierarchicalModel:
    depth, branching = len(grammar), grammar[0].shape[2]
    functions: list[LabelFunction] = []
    n_inputs = branching**depth * n_symbols
    below = 0  # where the indicators of the level below begin in the stream
    for level, rules in enumerate(grammar, start=1):
        written = [_any_tuple(tuples, n_symbols) for tuples in rules]
        here = n_inputs + len(functions)
        for position in range(branching ** (depth - level)):
            first = below + position * branching * n_symbols
            parents = tuple(range(first, first + branching * n_symbols))
            prefix = "class_" if level == depth else f"level{level}_pos{position}_symbol"
            functions += [
                LabelFunction(f"{prefix}{symbol}", parents, function, kind="or_of_ands")
                for symbol, function in enumerate(written)
            ]
        below = here
    names = [f"pos{position}_symbol{symbol}" for position, symbol in product(range(branching**depth), range(n_symbols))]
    return HierarchicalModel(n_inputs, functions, names)


def _any_tuple(tuples: np.ndarray, n_symbols: int) -> PolynomialThreshold:
    """Return "one of these tuples stands here" as a PTF of the indicators z = ±1 of s positions x v symbols.

    p(z) = 2 Σ_tuples Π_k (1 + z_{k, t_k}) / 2 - 1: the product is 1 if tuple t stands there and else 0, so that p is an
    odd number, 2 (tuples found) - 1, on the whole cube: margin 1, and |p| = 1 on one-hot strings.
    """
    n_tuples, branching = tuples.shape
    columns = np.arange(branching) * n_symbols + tuples
    # Multiplied out, a product has one term for each subset of its factors, all with coefficient 2^-s.
    subsets = np.array(list(product((0, 1), repeat=branching)))
    exponents = np.zeros((n_tuples, len(subsets), branching * n_symbols), dtype=np.int64)
    np.put_along_axis(exponents, np.broadcast_to(columns[:, None], (n_tuples, *subsets.shape)), subsets[None], axis=2)
    terms, where = np.unique(exponents.reshape(-1, branching * n_symbols), axis=0, return_inverse=True)
    coefficients = np.bincount(where.ravel(), minlength=len(terms)) * 2.0 ** (1 - branching)
    coefficients[0] -= 1  # rows of ``terms`` are sorted: the first is the constant
    return PolynomialThreshold(Polynomial(terms, coefficients))
