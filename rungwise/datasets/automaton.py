"""Elementary cellular automata: one rule, applied at every cell of a ring, step after step.

In the paper's terms an instance with positions: the cells are the positions, the neighbourhood of a cell is itself and
the cells beside it, and the states after 1, 2, … steps are the labels. Rule 110 is Turing-complete (Cook,
Complex Systems 15, 2004).
"""

import numpy as np

from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators, uniform_bits

N_RULES = 256
"""Each of the 2^3 states of a neighbourhood gives a bit."""


def make_automaton(
    n_samples: int = 20,
    rule: int = 110,
    n_cells: int = 128,
    n_steps: int = 100,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make random rings of cells, labelled with the states of each cell after every step of an automaton.

    In Wolfram's numbering, the new state of a cell is bit number 4 l + 2 c + r of the rule, with c its own state and l
    and r those of the cells to its left (one position less) and to its right.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of rings.
    rule : int, from 0 to 255
        The rule.
    n_cells : int, at least 3
        Number of cells of a ring. The first cell is to the right of the last.
    n_steps : int, at least 1
        Number of steps.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_cells, 1), of ±1
        Uniformly random first states, +1 = 1.
    Y : int8 array of shape (n_samples, n_cells, n_steps), of {0, 1}
        Label t of a cell, from 0, is its state after t + 1 steps.
    level : int array of shape (n_steps,)
        1, …, n_steps: at each cell, label t is a function of label t - 1 at positions -1, 0 and +1 from there, and
        label 0 is the same function of X.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> X, Y, level = make_automaton(n_samples=2, rule=90, n_cells=8, n_steps=3, random_state=0)
    >>> X.shape, Y.shape, level.tolist()
    ((2, 8, 1), (2, 8, 3), [1, 2, 3])

    Rule 90 is the exclusive or of the two neighbours:

    >>> first = (X[:, :, 0] > 0).astype(int)
    >>> bool((Y[:, :, 0] == np.roll(first, 1, axis=1) ^ np.roll(first, -1, axis=1)).all())
    True
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    rule = check_whole("rule", rule, 0)
    if rule >= N_RULES:
        raise ValueError(f"rule must be at most {N_RULES - 1}, however: rule={rule}")
    n_cells = check_whole("n_cells", n_cells, 3)
    n_steps = check_whole("n_steps", n_steps, 1)

    (rng,) = spawn_generators(random_state, 1)
    X = uniform_bits(rng, n_samples, n_cells)
    new_state = (rule >> np.arange(8) & 1).astype(np.int8)
    state = as_indicators(X)
    Y = np.empty((n_samples, n_cells, n_steps), dtype=np.int8)
    for step in range(n_steps):
        left, right = np.roll(state, 1, axis=1), np.roll(state, -1, axis=1)
        state = new_state[4 * left + 2 * state + right]
        Y[:, :, step] = state
    return X[:, :, None], Y, np.arange(1, n_steps + 1)
