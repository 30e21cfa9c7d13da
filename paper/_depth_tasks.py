"""Families of tasks that differ in logical depth and little else, for the claim of the depth limit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import networkx as nx
import numpy as np

from rungwise import Neighborhood
from rungwise.datasets import make_automaton, make_hierarchy, make_multiplier

CIRCUITS, MULTIPLIER, AUTOMATON = "iterated circuits", "bits of a product", "rule 110"


@dataclass(frozen=True)
class DepthTask:
    """One member of a family.

    Attributes
    ----------
    family : str
    depth : int
        Logical depth of the labels that are judged, in the circuit that made them.
    X, X_test : ndarray of shape (n, d), or (n, n_positions, d)
        ±1.
    Y, Y_test : ndarray of shape (n, n_labels), or (n, n_positions, n_labels)
        {0, 1}.
    judged : int ndarray
        The labels of which errors are compared: all that the peers are trained on.
    neighborhood : Neighborhood or None
    """

    family: str
    depth: int
    X: np.ndarray
    Y: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    judged: np.ndarray
    neighborhood: Neighborhood | None = None

    @property
    def frequency_error(self) -> float:
        """Error on the test rows of predicting each judged label by its commoner value in training."""
        n_judged = len(self.judged)
        common = self.Y[..., self.judged].reshape(-1, n_judged).mean(axis=0) > 0.5
        return float((self.Y_test[..., self.judged] != common).mean())


def circuits(quick: bool, seed: int) -> Iterator[DepthTask]:
    """Yield circuits of ever more layers of 20 gates, each of two or three of the layer below; judged is the last."""
    n, n_test = (1000, 1000) if quick else (2000, 2000)
    for depth in (2, 4, 8) if quick else (2, 4, 8, 16, 32):
        X, Y, model = make_hierarchy(n + n_test, 30, depth, 20, random_state=seed)
        yield DepthTask(CIRCUITS, depth, X[:n], Y[:n], X[n:], Y[n:], np.flatnonzero(model.level == depth))


def multiplier(quick: bool, seed: int) -> Iterator[DepthTask]:
    """Yield, for ever higher bits of a product, that bit and all signals of the multiplier that it depends on."""
    n, n_test, n_bits = (1000, 1000, 8) if quick else (2000, 2000, 10)
    X, Y, model = make_multiplier(n + n_test, n_bits, random_state=seed)
    graph = model.to_networkx()
    column = {name: j for j, name in enumerate(model.label_names)}
    for bit in (1, 2, 4) if quick else (1, 3, 5, 7, 9):
        name = f"product_{bit}"
        below = nx.ancestors(graph, name) & set(column)
        labels = sorted(column[label] for label in {name, *below})
        judged = np.array([labels.index(column[name])])
        depth = int(model.level[column[name]])
        yield DepthTask(MULTIPLIER, depth, X[:n], Y[:n, labels], X[n:], Y[n:, labels], judged)


def automaton(quick: bool, seed: int) -> Iterator[DepthTask]:
    """Yield ever more steps of rule 110 on a ring of cells; judged is the state of each cell after the last one."""
    n, n_test, n_cells = (24, 24, 32) if quick else (32, 32, 64)
    depths = (2, 4, 8) if quick else (2, 4, 8, 16, 31)
    X, Y, _ = make_automaton(n + n_test, 110, n_cells, max(depths), random_state=seed)
    for depth in depths:
        own = Y[..., :depth]
        yield DepthTask(AUTOMATON, depth, X[:n], own[:n], X[n:], own[n:], np.array([depth - 1]), Neighborhood.ring())


FAMILIES: dict[str, Callable[[bool, int], Iterator[DepthTask]]] = {
    CIRCUITS: circuits,
    MULTIPLIER: multiplier,
    AUTOMATON: automaton,
}
