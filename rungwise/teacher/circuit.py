"""Circuits as teachers: random ones of the paper's kind, netlists, and any other hierarchical model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rungwise._random import RandomState, spawn_generators
from rungwise.teacher.base import Teacher
from rungwise.teacher.junta_circuit import draw_junta_circuit
from rungwise.theory.hierarchical_model import HierarchicalModel

if TYPE_CHECKING:
    from rungwise.datasets.netlist import Netlist


class CircuitTeacher(Teacher):
    """A teacher that computes with a circuit: the labels of level t of a hierarchical model are its layer t.

    Parameters
    ----------
    model : HierarchicalModel
        The circuit.
    output_names : sequence of str, or None
        The labels (rarely, inputs) that the circuit is there to compute; None takes all labels of the highest level.

    Attributes
    ----------
    model : HierarchicalModel
    output_names : list of str

    Raises
    ------
    ValueError
        If there is no output, or one is not in the model.

    Examples
    --------
    >>> teacher = CircuitTeacher.random(n_inputs=8, n_layers=3, n_neurons=8, random_state=0)
    >>> X = np.random.default_rng(0).choice([-1, 1], size=(100, 8))
    >>> hints = teacher.hints(X, n_hints=20, k=3, coverage=0.5, random_state=0)
    >>> hints.Y.shape, hints.names[20], int(hints.layer[20]), float(np.isnan(hints.Y).mean())
    ((100, 60), 'hint_2_0', 2, 0.5)
    >>> shown = ~np.isnan(hints.Y)
    >>> bool((hints.on(X)[shown] == hints.Y[shown]).all()), teacher.outputs(X).shape
    (True, (100, 8))
    """

    def __init__(self, model: HierarchicalModel, output_names: Sequence[str] | None = None) -> None:
        self.model = model
        if output_names is None:
            output_names = [model.label_names[j] for j in model.layers[-1]]
        self.output_names = list(output_names)
        place = {name: i for i, name in enumerate([*model.input_names, *model.label_names])}
        unknown = [name for name in self.output_names if name not in place]
        if unknown or not self.output_names:
            raise ValueError(
                "output_names must be names of the model's labels or inputs, at least one, however: "
                + (f"the model has no {unknown[0]!r}" if unknown else "output_names is empty")
            )
        self._outputs = [place[name] for name in self.output_names]

    @classmethod
    def random(
        cls, n_inputs: int, n_layers: int, n_neurons: int, fan_in: int = 3, random_state: RandomState = None
    ) -> "CircuitTeacher":
        """Draw a circuit of which every neuron is a random boolean function of a few neurons of the layer below.

        Parameters
        ----------
        n_inputs : int, at least ``fan_in``
            Number of inputs.
        n_layers : int, at least 1
            Number of layers; the paper's T.
        n_neurons : int, at least ``fan_in`` if there are more layers than one
            Number of neurons of each layer; the paper's d.
        fan_in : int, from 1 to 15
            Number of entries of the layer below that a neuron reads; the paper's K. Its truth table is uniform over
            those that are true for half of the 2^K values.
        random_state : int, numpy.random.Generator, numpy.random.RandomState or None
            Seed, for reproducible results; a generator gives another circuit at each call.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        (rng,) = spawn_generators(random_state, 1)
        return cls(draw_junta_circuit(n_inputs, n_layers, n_neurons, fan_in, rng))

    @classmethod
    def from_netlist(cls, netlist: "Netlist") -> "CircuitTeacher":
        """Take the gates of a netlist as neurons, layer by layer of logical depth, and its outputs as outputs.

        Examples
        --------
        >>> from rungwise.datasets import parse_netlist
        >>> text = "INPUT(a)\\nINPUT(b)\\nOUTPUT(same)\\ndiffer = XOR(a, b)\\nsame = NOT(differ)"
        >>> CircuitTeacher.from_netlist(parse_netlist(text)).outputs(np.array([[1, 1], [1, -1]])).tolist()
        [[1], [-1]]
        """
        # A netlist that lists no output is there for its last gates.
        return cls(netlist.to_model(), netlist.output_names or None)

    def neurons(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the values of each level's labels, lowest first: int8 ±1 of shape (n_samples, n_neurons).

        Parameters
        ----------
        X : array of shape (n_samples, n_inputs), as the model takes it

        Raises
        ------
        ValueError
            If the model refuses X.
        """
        values = self.model(X)
        return [values[:, layer] for layer in self.model.layers]

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Return the outputs, int8 ±1 of shape (n_samples, n_outputs), in the order of ``output_names``.

        Parameters and errors are those of ``neurons``.
        """
        labels = self.model(X)
        return np.hstack([np.where(np.asarray(X) > 0, 1, -1).astype(np.int8), labels])[:, self._outputs]
