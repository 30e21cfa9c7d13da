"""A brain dump: the inputs of a random circuit, labelled with hints about its neurons and with its outputs.

The case of the paper (arXiv 2601.00455) in which nobody designed the labels: a hierarchy of random majorities emerges.
"""

import numpy as np

from rungwise.datasets._validation import RandomState, check_whole, spawn_generators, uniform_bits
from rungwise.teacher.circuit import CircuitTeacher
from rungwise.teacher.hints import Hints


def make_brain_dump(
    n_samples: int = 1000,
    n_neurons: int = 16,
    n_layers: int = 6,
    fan_in: int = 3,
    n_hints: int = 256,
    k: int = 3,
    awareness: float = 1.0,
    noise: float = 0.0,
    coverage: float = 1.0,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, Hints]:
    """Make random inputs of a random circuit, labelled with majorities of its neurons and with its outputs.

    Parameters
    ----------
    n_samples : int, at least 1
        Number of examples.
    n_neurons : int, at least ``fan_in``
        Number of inputs, and of neurons of each layer; the paper's d.
    n_layers : int, at least 1
        Number of layers; the paper's T.
    fan_in : int, from 1 to 15
        Number of neurons of the layer below that a neuron is a random function of; the paper's K.
    n_hints : int, at least 1
        Number of hints about each layer; about n_neurons² are enough.
    k, awareness, noise, coverage
        As in `rungwise.teacher.Teacher.hints`.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_neurons), of ±1
        Uniformly random bits.
    Y : float32 array of shape (n_samples, n_layers * n_hints + n_neurons), of 0, 1 and NaN
        The hints, NaN where one is not shown, then the outputs: the neurons of the last layer, without noise or gaps.
    hints : Hints
        The truth about the hints: ``hints.layer``, ``hints.weights``, ``hints.names``. ``hints.on(X)`` gives them for
        other rows and ``hints.teacher.outputs(X)`` the outputs, as ±1; ``hints.teacher.model`` is the circuit.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> X, Y, hints = make_brain_dump(n_samples=50, n_neurons=8, n_layers=2, n_hints=20, coverage=0.5, random_state=0)
    >>> X.shape, Y.shape, hints.names[-1]
    ((50, 8), (50, 48), 'hint_2_19')
    >>> bool((Y[:, 40:] == (hints.teacher.outputs(X) > 0)).all())
    True
    """
    n_samples = check_whole("n_samples", n_samples, 1)
    fan_in = check_whole("fan_in", fan_in, 1)
    n_neurons = check_whole("n_neurons", n_neurons, fan_in)
    circuit_rng, rows_rng, hints_rng = spawn_generators(random_state, 3)
    teacher = CircuitTeacher.random(n_neurons, n_layers, n_neurons, fan_in, circuit_rng)
    X = uniform_bits(rows_rng, n_samples, n_neurons)
    hints = teacher.hints(X, n_hints, k, awareness, noise, coverage, hints_rng)
    Y = np.hstack([hints.Y, teacher.outputs(X)], dtype=np.float32)
    return X, (Y + 1) / 2, hints
