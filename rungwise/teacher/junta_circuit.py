"""Random circuits of juntas, the paper's teacher: layers in which each neuron is a function of K of the layer below."""

import numpy as np

from rungwise._validation import check_whole
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction

# A truth table has 2^K entries, and a circuit one for each neuron.
LARGEST_FAN_IN = 15


def draw_junta_circuit(
    n_inputs: int, n_layers: int, n_neurons: int, fan_in: int, rng: np.random.Generator
) -> HierarchicalModel:
    """Draw a circuit of K-juntas.

    Each neuron reads a random set of K entries of the layer below. Its table is uniform over those that are true for
    half of their 2^K rows. (Tables uniform over all would give neurons that are mostly true or mostly false, more so
    with every layer, and a circuit whose outputs can nearly be guessed.) A junta need not depend on all that it reads:
    of two neurons, the balanced functions are each of them, their exclusive or, and the complements.

    Parameters
    ----------
    n_inputs : int, at least ``fan_in``
        Number of inputs.
    n_layers : int, at least 1
        Number of layers; the paper's T.
    n_neurons : int, at least ``fan_in`` if there are more layers than one
        Number of neurons of each layer; the paper's d.
    fan_in : int, from 1 to 15
        Number of entries of the layer below that a neuron reads; the paper's K.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    model : HierarchicalModel
        Label (t - 1) d + j, called "neuron_t_j", is number j, from 0, of layer t, from 1, and of level t.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> model = draw_junta_circuit(6, 2, 4, 3, np.random.default_rng(0))
    >>> model.label_names[4], model.level.tolist()
    ('neuron_2_0', [1, 1, 1, 1, 2, 2, 2, 2])
    """
    fan_in = check_whole("fan_in", fan_in, 1)
    if fan_in > LARGEST_FAN_IN:
        raise ValueError(f"fan_in must be at most {LARGEST_FAN_IN}, however: fan_in={fan_in}")
    n_layers = check_whole("n_layers", n_layers, 1)
    n_inputs = check_whole("n_inputs", n_inputs, fan_in)
    n_neurons = check_whole("n_neurons", n_neurons, 1 if n_layers == 1 else fan_in)
    half = np.repeat(np.array([-1, 1], dtype=np.int8), 2 ** (fan_in - 1))
    functions = []
    below = range(n_inputs)
    for layer in range(1, n_layers + 1):
        for j in range(n_neurons):
            parents = tuple((below.start + rng.choice(len(below), size=fan_in, replace=False)).tolist())
            functions.append(LabelFunction(f"neuron_{layer}_{j}", parents, rng.permutation(half), kind="junta"))
        n_known = n_inputs + len(functions)
        below = range(n_known - n_neurons, n_known)
    return HierarchicalModel(n_inputs, functions)
