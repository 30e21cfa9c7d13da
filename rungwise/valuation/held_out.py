"""Fits on the training rows of one fold, with some of the labels only, and what they get wrong on the rows held out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from sklearn.base import clone

from rungwise.estimator import RungwiseClassifier
from rungwise.hierarchy import Hierarchy


@dataclass(frozen=True)
class Problem:
    """A table, and which of its labels the others are to serve.

    Attributes
    ----------
    clf : RungwiseClassifier
        Unfitted; every fit is one of a clone.
    X : ndarray, CSR array or data frame of shape (n, n_features)
    Y : DataFrame of shape (n, n_labels)
        ±1, NaN where not annotated.
    weights : ndarray of shape (n, n_labels)
        0 where not annotated.
    groups : ndarray of shape (n,) or None
    target : int
        Column of Y.
    unit : ndarray of int, shape (n,)
        Copies of a row, or rows of one group, are one unit. Units are numbered at random.
    """

    clf: RungwiseClassifier
    X: Any
    Y: pd.DataFrame
    weights: np.ndarray
    groups: np.ndarray | None
    target: int
    unit: np.ndarray


@dataclass
class HeldOut:
    """One fold: fits are made when they are asked for, and none twice.

    Parameters
    ----------
    problem : Problem
    train, test : ndarray of int
        Rows to fit, and rows to judge on; the target is annotated on the latter.
    on_fit : callable
        Called before every fit.

    Attributes
    ----------
    available : frozenset of int
        The labels but the target that are annotated on some training row: no others can be learned from.
    """

    problem: Problem
    train: np.ndarray
    test: np.ndarray
    on_fit: Callable[[], None]
    _wrong: dict[tuple, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = np.flatnonzero(self.problem.weights[self.train].any(axis=0))
        self.available = frozenset(known.tolist()) - {self.problem.target}

    def wrong(self, labels: Iterable[int], thinned: int | None = None, share: float = 1.0) -> np.ndarray:
        """Return where the target is predicted wrong by a fit of it and some labels, 0 or 1, (n_test,).

        Parameters
        ----------
        labels : iterable of int
            Those that are not available are left out.
        thinned : int, optional
            A label that only this share of its annotated training rows is to have.
        share : float in (0, 1]
        """
        key = (frozenset(labels) & self.available, thinned, share)
        if key not in self._wrong:
            self._wrong[key] = self._judge(self._fit(*key))
        return self._wrong[key]

    def climb(self) -> Hierarchy:
        """Return what a fit of all labels finds; its errors are those of ``wrong(self.available)``."""
        fitted = self._fit(self.available)
        self._wrong[self.available, None, 1.0] = self._judge(fitted)
        return fitted.hierarchy_

    def _fit(self, labels: frozenset[int], thinned: int | None = None, share: float = 1.0) -> RungwiseClassifier:
        self.on_fit()
        problem, columns = self.problem, sorted(labels | {self.problem.target})
        weights = problem.weights[self.train]
        if thinned is not None:
            annotated = np.flatnonzero(weights[:, thinned])
            # By unit, that is, at random; the rows of a smaller share are among those of a larger one.
            order = annotated[np.argsort(problem.unit[self.train][annotated], kind="stable")]
            weights[order[round(share * len(order)) :], thinned] = 0
        weights = weights[:, columns]
        targets = problem.Y.iloc[self.train, columns].where(weights > 0)
        groups = None if problem.groups is None else problem.groups[self.train]
        return clone(problem.clf).fit(_take_rows(problem.X, self.train), targets, weights, groups)

    def _judge(self, fitted: RungwiseClassifier) -> np.ndarray:
        name = self.problem.Y.columns[self.problem.target]
        predicted = fitted.predict(_take_rows(self.problem.X, self.test))[:, fitted.label_names_.index(name)]
        truth = self.problem.Y[name].to_numpy()[self.test]
        return ((predicted > 0) != (truth > 0)).astype(float)


def ancestors(hierarchy: Hierarchy, names: list[str]) -> dict[int, frozenset[int]]:
    """Return the labels that each label of a hierarchy stands on, directly or through others, by index in ``names``."""
    graph = hierarchy.to_networkx()
    index = {name: j for j, name in enumerate(names)}
    return {
        index[name]: frozenset(index[above] for kind, above in nx.ancestors(graph, ("label", name)) if kind == "label")
        for name in hierarchy.label_names
    }


def _take_rows(X: Any, rows: np.ndarray) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]
