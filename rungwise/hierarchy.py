"""What was found: the level of each label, which inputs and labels it stands on, and by which formula."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from rungwise.fitting.layerwise import LEVEL_TOLERANCE
from rungwise.formula import Formula

if TYPE_CHECKING:
    import pandas as pd

MIN_GAIN = 0.01
"""A label whose honest loss ends less than this fraction below that of its frequency was never learned: level 0."""

MIN_LOSS = 1e-9
"""A label whose frequency alone leaves no more than this, up to rounding nothing, is constant: level 0, too."""

PARENT_SHARE = 0.2
"""An entry is a parent if shuffling it costs at least this share of what shuffling the costliest entry costs."""


@dataclass(frozen=True)
class Hierarchy:
    """The rungs of a fitted model.

    Attributes
    ----------
    feature_names, label_names : tuple of str
    level : ndarray of int, shape (n_labels,)
        The block, from 1, at which each label was learned; 0 = never.
    importance : ndarray of shape (n_features + n_labels, n_labels)
        For each label (column), the rise of its honest loss when an input feature or an estimated label (row) is
        shuffled, in the block that taught it. Inputs and labels that say the same share the credit.
    honest_error : ndarray of shape (n_labels,)
        Error rate on training rows, each judged by a model that had not seen it, or by one too simple to memorise it.
    frequency_error : ndarray of shape (n_labels,)
        The same of predicting each label by its frequency: what a label that was learned is better than.
    formulas : mapping of int to Formula
        For each label (by index) that was settled by one.
    """

    feature_names: tuple[str, ...]
    label_names: tuple[str, ...]
    level: np.ndarray
    importance: np.ndarray
    honest_error: np.ndarray
    frequency_error: np.ndarray
    formulas: Mapping[int, Formula] = field(default_factory=dict)

    def formula(self, label: str | int) -> Formula | None:
        """Return the formula that settled a label; None if none was found.

        Raises
        ------
        KeyError
            If there is no such label.
        """
        return self.formulas.get(self._index(label))

    def parents(self, label: str | int) -> list[str]:
        """Return the names of the inputs and lower labels that a label stands on, the most important first.

        Raises
        ------
        KeyError
            If there is no such label.
        """
        return [name for name, _ in self._ranked_parents(self._index(label))]

    @property
    def edges(self) -> list[tuple[str, str, float]]:
        """All (parent, label, importance)."""
        return [
            (parent, label, importance)
            for j, label in enumerate(self.label_names)
            for parent, importance in self._ranked_parents(j)
        ]

    def to_networkx(self) -> nx.DiGraph:
        """Return a directed acyclic graph from parents to labels.

        Nodes are ("feature", name) and ("label", name), since a label may be called as a feature is; they have the
        attributes ``name`` and ``level`` (0 for features), edges have ``importance``.
        """
        graph = nx.DiGraph()
        graph.add_nodes_from((("feature", name), {"name": name, "level": 0}) for name in self.feature_names)
        for j, label in enumerate(self.label_names):
            graph.add_node(("label", label), name=label, level=int(self.level[j]))
            for row in self._parent_rows(j):
                graph.add_edge(self._node(row), ("label", label), importance=float(self.importance[row, j]))
        return graph

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame with a row for each label.

        Columns: label, level, parents, formula (text, empty where none was found), honest_error, frequency_error.
        """
        import pandas as pd

        indices = range(len(self.label_names))
        frame = pd.DataFrame(
            {
                "label": self.label_names,
                "level": self.level.astype(int),
                "parents": [self.parents(j) for j in indices],
                "formula": [self._formula_text(j) for j in indices],
                "honest_error": self.honest_error,
                "frequency_error": self.frequency_error,
            }
        )
        return frame.sort_values(["level", "label"], key=_never_last, ignore_index=True)

    def __str__(self) -> str:
        lines = []
        for level in [*range(1, int(self.level.max(initial=0)) + 1), 0]:
            labels = np.flatnonzero(self.level == level)
            if len(labels):
                lines.append(f"level {level}" if level else "never learned")
            for j in labels:
                parents = self.parents(int(j))
                if (formula := self.formula(int(j))) is not None:
                    noise = f"  (noise: {formula.error:.1%})" if formula.error else ""
                    lines.append(f"  {formula}{noise}")
                else:
                    lines.append(f"  {self.label_names[j]}" + (f"  <- {', '.join(parents)}" if parents else ""))
        return "\n".join(lines)

    def _formula_text(self, label: int) -> str:
        return self.formulas[label].text if label in self.formulas else ""

    def _index(self, label: str | int) -> int:
        if label in range(len(self.label_names)):
            return int(label)
        if label not in self.label_names:
            raise KeyError(f"no label is called {label!r}; the labels are {', '.join(self.label_names)}")
        return self.label_names.index(label)

    def _node(self, row: int) -> tuple[str, str]:
        n_features = len(self.feature_names)
        if row < n_features:
            return "feature", self.feature_names[row]
        return "label", self.label_names[row - n_features]

    def _ranked_parents(self, label: int) -> list[tuple[str, float]]:
        return [(self._node(row)[1], float(self.importance[row, label])) for row in self._parent_rows(label)]

    def _parent_rows(self, label: int) -> list[int]:
        """Return the rows of `importance` that are parents; only lower labels may be, so there are no cycles."""
        if self.level[label] == 0:
            return []
        if label in self.formulas:
            rows = sorted(set(self.formulas[label].parents))
            return sorted(rows, key=lambda row: -self.importance[row, label])
        lower = (self.level > 0) & (self.level < self.level[label])
        allowed = np.concatenate([np.ones(len(self.feature_names), dtype=bool), lower])
        importance = np.where(allowed, self.importance[:, label], 0.0)
        threshold = PARENT_SHARE * importance.max(initial=0.0)
        ranked = np.argsort(-importance, kind="stable")
        return [int(row) for row in ranked if importance[row] > 0 and importance[row] >= threshold]


def _never_last(column: "pd.Series") -> "pd.Series":
    return column.where(column != 0, np.inf) if column.name == "level" else column


def find_levels(losses: np.ndarray, prior_loss: np.ndarray) -> np.ndarray:
    """Return the level of each label, (n_labels,).

    It is the first block after which the honest loss stays within `LEVEL_TOLERANCE` of its final value, as a fraction
    of all that was gained over predicting the label by its frequency.

    Parameters
    ----------
    losses : ndarray of shape (n_blocks, n_labels)
        Honest loss after each block.
    prior_loss : ndarray of shape (n_labels,)
        Honest loss of predicting the label by its frequency.
    """
    if len(losses) == 0:
        return np.zeros(len(prior_loss), dtype=int)
    final = losses[-1]
    within = losses - final <= LEVEL_TOLERANCE * (prior_loss - final)
    # "Stays within": losses never rise, so the first block within the tolerance is the one.
    learned = (final < (1 - MIN_GAIN) * prior_loss) & (prior_loss > MIN_LOSS)
    return np.where(learned, within.argmax(axis=0) + 1, 0)
