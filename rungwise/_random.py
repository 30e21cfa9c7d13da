"""Random generators from a seed, for the generators of data sets and the teachers."""

import numbers

import numpy as np

RandomState = int | np.random.Generator | np.random.RandomState | None


def spawn_generators(random_state: RandomState, n_generators: int) -> list[np.random.Generator]:
    """Return independent random generators, one per purpose.

    A generator of its own for each purpose keeps them apart: the number of rows drawn does not change the model.

    Parameters
    ----------
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Where randomness comes from. An int gives the same generators every time; a generator gives others each time,
        because 128 bits are drawn from it; None takes fresh entropy from the operating system.
        NumPy's global generator is neither read nor seeded.
    n_generators : int
        How many.

    Returns
    -------
    generators : list of numpy.random.Generator

    Raises
    ------
    ValueError
        If ``random_state`` is none of these, or a negative number.

    Examples
    --------
    >>> [int(rng.integers(1000)) for rng in spawn_generators(0, 2)] == [
    ...     int(rng.integers(1000)) for rng in spawn_generators(0, 2)
    ... ]
    True
    """
    entropy: int | list[int] | None
    if random_state is None:
        entropy = None
    elif isinstance(random_state, np.random.Generator):
        entropy = random_state.integers(2**32, size=4).tolist()
    elif isinstance(random_state, np.random.RandomState):
        entropy = random_state.randint(2**32, size=4, dtype=np.int64).tolist()
    elif isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool) and random_state >= 0:
        entropy = int(random_state)
    else:
        raise ValueError(
            "random_state must be None, a whole number of at least 0, a numpy.random.Generator or a "
            f"numpy.random.RandomState, however: random_state={random_state!r}"
        )
    return [np.random.default_rng(seed) for seed in np.random.SeedSequence(entropy).spawn(n_generators)]
