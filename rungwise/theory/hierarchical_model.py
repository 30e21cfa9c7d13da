"""Labels defined by one another: a circuit whose gate values are the labels, and the hierarchy it satisfies.

Paper, definition of an (r, K, M)-hierarchy: nested sets L_1 ⊆ … ⊆ L_r = [n] of labels such that each label of L_1 is a
(K, M)-PTF of the input, and each label of L_i, i > 1, is a (K, M)-PTF of the labels of L_{i-1}.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import networkx as nx
import numpy as np

from rungwise.theory.boolean import check_table, look_up
from rungwise.theory.certificate import Certificate, certify_hierarchy
from rungwise.theory.ptf import PolynomialThreshold


@dataclass(frozen=True, eq=False)
class LabelFunction:
    """One label as a function of its parents.

    Parameters
    ----------
    name : str
        The label's name.
    parents : tuple of int
        What it reads, as indices in the stream: 0 … n_inputs - 1 are the inputs, n_inputs + j is label j. None twice;
        an empty tuple makes a constant label.
    function : array of shape (2**K,) of ±1, or PolynomialThreshold
        A truth table of the K parents, the first parent the most significant bit (see ``hypercube``), or a polynomial
        threshold function with one variable per parent.
    kind : str
        What to call the function: "majority", "parity", "multiplexer", "and", "or", …

    Raises
    ------
    ValueError
        If a parent is listed twice, or the function does not take as many values as there are parents.
    """

    name: str
    parents: tuple[int, ...]
    function: PolynomialThreshold | np.ndarray
    kind: str = "table"

    def __post_init__(self) -> None:
        parents = tuple(int(p) for p in self.parents)
        if len(set(parents)) < len(parents):
            raise ValueError(
                f"label {self.name!r} must list each parent once (simplify its function), however: parents={parents}"
            )
        object.__setattr__(self, "parents", parents)
        if isinstance(self.function, PolynomialThreshold):
            fan_in = self.function.n_variables
            if self.kind == "table":
                object.__setattr__(self, "kind", "ptf")
        else:
            table = check_table(self.function)
            table.flags.writeable = False
            object.__setattr__(self, "function", table)
            fan_in = len(table).bit_length() - 1
        if fan_in != len(parents):
            raise ValueError(
                f"label {self.name!r} must have as many parents as its function has arguments, {fan_in}, "
                f"however: parents={parents}"
            )

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the label, int8 ±1 of shape (n_samples,), from its parents' values (n_samples, n_parents)."""
        if isinstance(self.function, PolynomialThreshold):
            return self.function(values)
        return look_up(self.function, values)


class HierarchicalModel:
    """Labels that are functions of the inputs and of one another.

    Parameters
    ----------
    n_inputs : int, at least 0
        Number of inputs.
    functions : sequence of LabelFunction, at least one
        The labels, in any order: a label may come before its parents.
    input_names : sequence of str, or None
        Names of the inputs; None calls them x0, x1, ….

    Attributes
    ----------
    n_inputs, n_labels : int
    functions : tuple of LabelFunction
    input_names, label_names : list of str
    level : int array of shape (n_labels,)
        1 + the largest level of a label's parents, inputs having level 0. L_i is the set of labels of level <= i.
    layers : tuple of int arrays
        The labels of level 1, of level 2, …, as indices in ascending order.
    edges : list of (int, int)
        A pair (p, j) for each parent of each label: p is an index in the stream (as in ``LabelFunction.parents``) and
        j is the label's own index, 0 … n_labels - 1.

    Raises
    ------
    ValueError
        If a parent's index is out of range, the labels depend on one another in a circle, or a name occurs twice.

    Examples
    --------
    >>> from rungwise.theory.boolean import majority, parity
    >>> model = HierarchicalModel(
    ...     4,
    ...     [
    ...         LabelFunction("odd", (4 + 1, 4 + 2), parity(2), kind="parity"),
    ...         LabelFunction("left", (0, 1, 2), majority(3), kind="majority"),
    ...         LabelFunction("right", (1, 2, 3), majority(3), kind="majority"),
    ...     ],
    ... )
    >>> model.level.tolist(), model.parents("odd")
    ([2, 1, 1], ['left', 'right'])
    >>> model(np.array([[1, 1, -1, -1], [1, 1, 1, -1]])).tolist()
    [[1, 1, -1], [-1, 1, 1]]
    >>> certificate = model.certify()
    >>> certificate.r, certificate.K, certificate.M, certificate.B
    (2, 3, 1.0, 1.0)
    """

    def __init__(
        self, n_inputs: int, functions: Sequence[LabelFunction], input_names: Sequence[str] | None = None
    ) -> None:
        if n_inputs < 0:
            raise ValueError(f"n_inputs must be at least 0, however: n_inputs={n_inputs}")
        if len(functions) == 0:
            raise ValueError("functions must hold at least one label, however: functions=[]")
        self.n_inputs = n_inputs
        self.functions = tuple(functions)
        self.n_labels = len(self.functions)
        self.input_names = [f"x{i}" for i in range(n_inputs)] if input_names is None else list(input_names)
        self.label_names = [f.name for f in self.functions]
        if len(self.input_names) != n_inputs:
            raise ValueError(f"input_names must hold {n_inputs} names, however: it holds {len(self.input_names)}")
        self._names = self.input_names + self.label_names
        self._label_index = {name: j for j, name in enumerate(self.label_names)}
        if len(set(self._names)) < len(self._names):
            repeated = sorted({name for name in self._names if self._names.count(name) > 1})
            raise ValueError(f"inputs and labels must have different names, however: repeated names={repeated}")
        for f in self.functions:
            if not all(0 <= p < len(self._names) for p in f.parents):
                raise ValueError(
                    f"parents of label {f.name!r} must be in 0 … {len(self._names) - 1} ({n_inputs} inputs, then "
                    f"{self.n_labels} labels), however: parents={f.parents}"
                )
        self._order = self._topological_order()
        self.level = self._levels()
        self.layers = tuple(np.flatnonzero(self.level == i) for i in range(1, self.level.max() + 1))
        self.edges = [(p, j) for j, f in enumerate(self.functions) for p in f.parents]

    def _topological_order(self) -> list[int]:
        graph = {j: [p - self.n_inputs for p in f.parents if p >= self.n_inputs] for j, f in enumerate(self.functions)}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = " -> ".join(self.label_names[j] for j in error.args[1])
            raise ValueError(f"labels must not depend on one another in a circle, however: {circle}") from None

    def _levels(self) -> np.ndarray:
        level = np.zeros(self.n_inputs + self.n_labels, dtype=np.int64)
        for j in self._order:
            level[self.n_inputs + j] = 1 + level[list(self.functions[j].parents)].max(initial=0)
        return level[self.n_inputs :]

    def parents(self, label: int | str) -> list[str]:
        """Return the names of what a label reads, in the order of its function's arguments.

        Parameters
        ----------
        label : int in 0 … n_labels - 1, or str
            The label's index or name.

        Raises
        ------
        ValueError
            If there is no such label.
        """
        index = self._label_index.get(label, -1) if isinstance(label, str) else int(label)
        if not 0 <= index < self.n_labels:
            raise ValueError(
                f"label must be one of label_names or an index in 0 … {self.n_labels - 1}, however: label={label!r}"
            )
        return [self._names[p] for p in self.functions[index].parents]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Compute every label, parents before children.

        Parameters
        ----------
        X : array of shape (n_samples, n_inputs), in [-1, 1]
            Inputs; those that a truth table reads must be ±1.

        Returns
        -------
        Y : int8 array of shape (n_samples, n_labels), of ±1

        Raises
        ------
        ValueError
            If X has another number of columns, leaves [-1, 1] or is not ±1 where a truth table reads it.
        """
        X = self._check_inputs(X)
        # One row per stream entry, so that each label reads and writes contiguous memory.
        inputs, labels = np.ascontiguousarray(X.T), np.empty((self.n_labels, len(X)), dtype=np.int8)
        for j in self._order:
            f = self.functions[j]
            values = [inputs[p] if p < self.n_inputs else labels[p - self.n_inputs] for p in f.parents]
            labels[j] = f(np.stack(values, axis=1) if values else np.empty((len(X), 0)))
        return np.ascontiguousarray(labels.T)

    def _check_inputs(self, X: np.ndarray) -> np.ndarray:
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_inputs:
            raise ValueError(f"X must be of shape (n_samples, {self.n_inputs}), however: X.shape={X.shape}")
        # Written so that NaN fails too.
        outside = X[~((X >= -1) & (X <= 1))]
        if outside.size:
            raise ValueError(f"X must be in [-1, 1] (rescale it), however: it holds {outside[0]}")
        boolean = sorted(
            {p for f in self.functions if isinstance(f.function, np.ndarray) for p in f.parents if p < self.n_inputs}
        )
        between = X[:, boolean][np.abs(X[:, boolean]) != 1]
        if between.size:
            raise ValueError(
                f"inputs that a truth table reads must be -1 (false) or +1 (true), however: X holds {between[0]} there"
            )
        return X

    def permuted(self, order: Sequence[int] | np.ndarray) -> "HierarchicalModel":
        """Return the same model with its labels in another order: new label i is old label ``order[i]``.

        Raises
        ------
        ValueError
            If ``order`` is not a permutation of 0 … n_labels - 1.
        """
        order = [int(j) for j in order]
        if sorted(order) != list(range(self.n_labels)):
            raise ValueError(f"order must be a permutation of 0 … {self.n_labels - 1}, however: order={order}")
        place = {old: new for new, old in enumerate(order)}
        functions = []
        for f in (self.functions[j] for j in order):
            parents = tuple(p if p < self.n_inputs else self.n_inputs + place[p - self.n_inputs] for p in f.parents)
            functions.append(LabelFunction(f.name, parents, f.function, f.kind))
        return HierarchicalModel(self.n_inputs, functions, self.input_names)

    def to_networkx(self) -> nx.DiGraph:
        """Return the graph of names, with an edge from each parent and node attributes ``level`` and ``kind``.

        Inputs have level 0 and kind "input".
        """
        graph = nx.DiGraph()
        graph.add_nodes_from(self.input_names, level=0, kind="input")
        for f, level in zip(self.functions, self.level, strict=True):
            graph.add_node(f.name, level=int(level), kind=f.kind)
        graph.add_edges_from((self._names[p], self.label_names[j]) for p, j in self.edges)
        return graph

    def certify(self, X: np.ndarray | None = None, degree: int | None = None) -> Certificate:
        """Return the (r, K, M, B)-hierarchy that the labels satisfy, with a polynomial of margin 1 for each.

        Parameters
        ----------
        X : array of shape (n_samples, n_inputs), or None
            Rows on which polynomials of real inputs are judged. Not needed if every label is a truth table or a
            threshold function of labels: those are judged on all values that their parents can take.
        degree : int, or None
            None certifies each truth table by its Fourier expansion, which gives M = B = 1, the least possible, at a K
            of at most the fan-in. A number asks for polynomials of at most that degree: where the label's own has a
            higher one, the polynomial of smallest norm is fitted, at the price of a larger M and B.

        Returns
        -------
        certificate : Certificate

        Raises
        ------
        ValueError
            If a label reads real inputs and X is None, a polynomial is 0 at a row, or a label is no PTF of that degree.
        """
        return certify_hierarchy(self, X, degree)
