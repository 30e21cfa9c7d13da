"""Drawing the gates of a hierarchy so that deep levels stay alive.

Every gate loses information, so the labels of a deep, narrow hierarchy tend to become constant, or copies of each
other. Two things keep them apart: parents are dealt like cards, so that each label of a level is read by the next one;
and a gate is drawn again if its label is too lopsided, or too close to one that exists, on a reference sample.
"""

from dataclasses import dataclass

import numpy as np

from rungwise.datasets._gates import Gate
from rungwise.theory.boolean import look_up

# Draws of one gate. Half of them deal the parents; the other half choose them freely, for when the deal cannot work.
TRIES_PER_GATE = 200
# Draws of the whole hierarchy: an unlucky low level can leave too little for those above it.
RESTARTS = 5
# A label that agrees with another one (or its complement) this often would be learned along with it.
LARGEST_AGREEMENT = 0.98


@dataclass(frozen=True)
class DrawnGate:
    """A gate that passed: its kind, its truth table and its parents' indices in the stream (inputs first)."""

    kind: str
    table: np.ndarray
    parents: tuple[int, ...]


class _LevelCannotBeFilled(Exception):
    """Raised inside a draw; the message says which level, and how many functions there were to choose from."""


def draw_gates(
    rng: np.random.Generator,
    reference: np.ndarray,
    n_levels: int,
    n_labels_per_level: int,
    gates: list[Gate],
    max_bias: float,
) -> list[DrawnGate]:
    """Draw the gates of all levels, lowest first.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    reference : float32 array of shape (n_reference, n_inputs), of ±1
        Inputs on which labels are judged.
    n_levels, n_labels_per_level : int
        Shape of the hierarchy.
    gates : list of Gate
        Kinds to deal out in turn.
    max_bias : float
        Largest |mean| of a label (±1) on the reference sample.

    Returns
    -------
    drawn : list of DrawnGate, n_levels * n_labels_per_level long

    Raises
    ------
    ValueError
        If some level cannot be filled in any of ``RESTARTS`` draws.
    """
    for _ in range(RESTARTS):
        try:
            return _draw_once(rng, reference, n_levels, n_labels_per_level, gates, max_bias)
        except _LevelCannotBeFilled as failure:
            message = str(failure)
    raise ValueError(f"{message}; the last of {RESTARTS} draws of the whole hierarchy ended so")


def _draw_once(
    rng: np.random.Generator,
    reference: np.ndarray,
    n_levels: int,
    n_labels_per_level: int,
    gates: list[Gate],
    max_bias: float,
) -> list[DrawnGate]:
    n_reference, n_inputs = reference.shape
    # One row per stream entry, (n_inputs + n_labels, n_reference): agreement is then one matrix product.
    stream = np.empty((n_inputs + n_levels * n_labels_per_level, n_reference), dtype=np.float32)
    stream[:n_inputs] = reference.T
    drawn: list[DrawnGate] = []
    below, n_known = range(n_inputs), n_inputs
    for level in range(1, n_levels + 1):
        n_uses = np.zeros(len(below))
        for position in range(n_labels_per_level):
            gate = gates[len(drawn) % len(gates)]
            for attempt in range(TRIES_PER_GATE):
                chosen = _deal(rng, n_uses * (attempt < TRIES_PER_GATE // 2), gate.fan_in)
                parents = below.start + chosen
                table = gate.table(rng)
                values = look_up(table, stream[parents].T).astype(np.float32)
                if abs(values.mean()) <= max_bias and _is_new(values, stream[:n_known]):
                    break
            else:
                raise _LevelCannotBeFilled(
                    f"level {level} could not be filled: it has {position} of {n_labels_per_level} labels, and in "
                    f"{TRIES_PER_GATE} tries, with {gate.n_choices(len(below))} choices of parents for the kind "
                    f"{gate.kind!r}, none had |mean| <= max_bias={max_bias} and differed from all earlier labels on "
                    f"more than {1 - LARGEST_AGREEMENT:.0%} of the inputs; ask for fewer levels, a larger max_bias, "
                    "more inputs, other kinds, or another number of labels per level"
                )
            stream[n_known] = values
            n_uses[chosen] += 1
            n_known += 1
            drawn.append(DrawnGate(gate.kind, table, tuple(parents.tolist())))
        below = range(n_known - n_labels_per_level, n_known)
    return drawn


def _deal(rng: np.random.Generator, n_uses: np.ndarray, fan_in: int) -> np.ndarray:
    """Choose ``fan_in`` different parents, the least used first, ties and order at random."""
    return rng.permutation(np.argsort(n_uses + rng.random(len(n_uses)))[:fan_in])


def _is_new(values: np.ndarray, known: np.ndarray) -> bool:
    """Return whether ``values`` agree with no row of ``known``, nor its complement, too often."""
    # Two labels that agree on a fraction a of n inputs have the inner product (2a - 1) n.
    return bool(np.abs(known @ values).max() <= (2 * LARGEST_AGREEMENT - 1) * len(values))
