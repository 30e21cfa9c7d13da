"""Circuits whose gates are the labels: the case that takes the paper's class beyond logarithmic depth.

Any circuit of polynomial size is a hierarchy once its gates' values are among the labels, however deep it is.
"""

import os

import numpy as np

from rungwise.datasets._validation import RandomState, as_indicators, check_whole, spawn_generators, uniform_bits
from rungwise.datasets.netlist import Netlist, read_netlist
from rungwise.theory.hierarchical_model import HierarchicalModel


def make_circuit(
    netlist: Netlist | str | os.PathLike,
    n_samples: int = 1000,
    shuffle: bool = True,
    random_state: RandomState = None,
) -> tuple[np.ndarray, np.ndarray, HierarchicalModel]:
    """Make random inputs of a circuit, labelled with the values of all its gates.

    Parameters
    ----------
    netlist : Netlist, str or os.PathLike
        The circuit, or the path of a ``.bench`` file with it (see ``read_netlist``; ``parse_netlist`` takes text).
    n_samples : int, at least 1
        Number of examples.
    shuffle : bool
        Whether the labels (columns of Y) are in random order rather than in that of the netlist.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Seed, for reproducible results; a generator gives another data set at each call.

    Returns
    -------
    X : float32 array of shape (n_samples, n_inputs), of ±1
        Uniformly random bits, +1 = true, in the order of ``netlist.input_names``.
    Y : int8 array of shape (n_samples, n_gates), of {0, 1}
        The value of every gate, whether it is an output of the circuit or not. ``model(X)`` gives the same as ±1.
    model : HierarchicalModel
        The truth, in the order of Y's columns. Labels are named after their signals, and a label's level is its
        gate's logical depth. Kinds are "and", "nand", "or", "nor", "parity" (XOR), "xnor", "not" and "buffer".

    Raises
    ------
    ValueError
        If a parameter is out of its range, or the file holds no netlist.
    OSError
        If the file cannot be read.
    TypeError
        If ``netlist`` is neither a netlist nor a path.

    Notes
    -----
    A label lists each of its parents once. A gate that reads a signal more than once is therefore simplified:
    AND(a, a) and AND(a) are a "buffer", NOR(a, a) is a "not", XOR(a, b, a) is a "buffer" of b, and XOR(a, a) is a
    "constant" without parents. A gate of more than 15 signals is a polynomial threshold function rather than a table.

    Examples
    --------
    Where the circuit's outputs are among the labels:

    >>> from rungwise.datasets import parse_netlist
    >>> netlist = parse_netlist('''
    ... INPUT(a)
    ... INPUT(b)
    ... INPUT(c)
    ... OUTPUT(carry)
    ... both = AND(a, b)
    ... any = OR(a, b)
    ... passed = AND(any, c)
    ... carry = OR(both, passed)
    ... ''')
    >>> X, Y, model = make_circuit(netlist, n_samples=50, random_state=0)
    >>> X.shape, Y.shape, model.level.max()
    ((50, 3), (50, 4), np.int64(3))
    >>> outputs = [model.label_names.index(name) for name in netlist.output_names]
    >>> bool((Y[:, outputs[0]] == (X.sum(axis=1) > 0)).all())
    True
    """
    if not isinstance(netlist, Netlist | str | os.PathLike):
        raise TypeError(f"netlist must be a Netlist or the path of a .bench file, however: netlist={netlist!r}")
    n_samples = check_whole("n_samples", n_samples, 1)
    order_rng, rows_rng = spawn_generators(random_state, 2)
    model = (netlist if isinstance(netlist, Netlist) else read_netlist(netlist)).to_model()
    if shuffle:
        model = model.permuted(order_rng.permutation(model.n_labels))
    X = uniform_bits(rows_rng, n_samples, model.n_inputs)
    return X, as_indicators(model(X)), model
