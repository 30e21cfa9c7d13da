"""Scores: errors on unseen rows by level, and discovered edges against true ones.

Edges are judged where the truth is identifiable. A label counts as right if its discovered gate, evaluated on the true
values of its discovered parents, equals the label on every unseen row: two different sets of parents that compute the
same values on all inputs are both right. Then all its discovered edges are right, and all its true edges are found. For
any other label an edge is right if it is a true one, and a true edge is found if it was discovered.

    precision = right edges / discovered edges        recall = found edges / true edges
"""

import numpy as np
import torch

from benchmarks._tasks import Task
from rungwise import RungwiseClassifier

NOT_PREDICTED = -1
# Rows for which a gate is evaluated at a time; each has a stream of some thousand entries.
_ROWS_AT_A_TIME = 4096


def score(truth: np.ndarray, predicted: np.ndarray, level: np.ndarray) -> dict:
    """Return measures of predictions.

    Parameters
    ----------
    truth : ndarray of shape (n, L), or (n, n_positions, L)
    predicted : ndarray of the same shape
        `NOT_PREDICTED` in all rows of a label that the learner was not asked for.
    level : ndarray of shape (L,)

    Returns
    -------
    dict
        "errors": {level: error}, of the labels that were predicted; "worst level", "deepest level" and "all labels":
        errors; "wrong values": a count; "rows all right": share of the rows (of whole rings, with positions).
    """
    n, n_labels = len(truth), truth.shape[-1]
    asked = (predicted != NOT_PREDICTED).reshape(-1, n_labels).all(axis=0)
    wrong = (predicted != truth)[..., asked]
    per_label = wrong.reshape(-1, asked.sum()).mean(axis=0)
    errors = {int(k): float(per_label[level[asked] == k].mean()) for k in np.unique(level[asked])}
    return {
        "errors": errors,
        "worst level": max(errors.values()),
        "deepest level": errors[max(errors)],
        "all labels": float(per_label.mean()),
        "wrong values": int(wrong.sum()),
        "rows all right": float(1 - wrong.reshape(n, -1).any(axis=1).mean()),
    }


def score_edges(fitted: RungwiseClassifier, task: Task) -> dict[str, float]:
    """Return "edge precision" and "edge recall" as defined above, and "labels right", the share of such labels."""
    X, Y = next(iter(task.tests.values()))
    right = gates_that_hold(fitted, X, Y)
    found = _discovered(fitted)
    n_inputs = X.shape[-1]
    n_right = n_discovered = n_found = n_true = 0
    for label, true in enumerate(task.parents):
        discovered = found[label]
        if not right[label] and not task.inputs_known:
            discovered = {parent for parent in discovered if parent >= n_inputs}
        n_discovered += len(discovered)
        n_true += len(true)
        n_right += len(discovered if right[label] else discovered & true)
        n_found += len(true if right[label] else discovered & true)
    return {
        "edge precision": n_right / max(1, n_discovered),
        "edge recall": n_found / max(1, n_true),
        "labels right": float(right.mean()),
    }


@torch.no_grad()
def gates_that_hold(fitted: RungwiseClassifier, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return for each label whether a gate was found that gives it from the true values of its parents on all rows.

    The blocks that settled labels are run on a stream that holds the true values of all labels.
    """
    network = fitted.network_
    like = next(network.parameters(), torch.zeros(()))
    n_labels = Y.shape[-1]
    everything = torch.arange(n_labels)
    holds = torch.zeros(n_labels, dtype=torch.bool)
    for block in network.blocks:
        holds[block.labels[block.settle].cpu()] = True
    step = max(1, _ROWS_AT_A_TIME // (X.shape[1] if X.ndim == 3 else 1))
    for start in range(0, len(X), step):
        part = X[start : start + step]
        x = torch.from_numpy(fitted.standardizer_.transform(part.reshape(-1, X.shape[-1]).astype(float)))
        truth = torch.from_numpy(Y[start : start + step].reshape(-1, n_labels) > 0).to(like.device)
        stream = network.start((x if X.ndim == 2 else x.unflatten(0, part.shape[:2])).to(like))
        stream.update(everything, torch.where(truth, 1.0, -1.0).to(like), torch.ones_like(truth[0]))
        for block in network.blocks:
            settled = block.labels[block.settle]
            if len(settled):
                agrees = (block(stream.entries)[:, block.settle] > 0) == truth[:, settled]
                holds[settled.cpu()] &= agrees.all(dim=0).cpu()
    return holds.numpy()


def _discovered(fitted: RungwiseClassifier) -> list[set[int]]:
    """Return the discovered parents of each label, as indices of the inputs and then the labels."""
    hierarchy = fitted.hierarchy_
    row = {("feature", name): i for i, name in enumerate(hierarchy.feature_names)}
    row |= {("label", name): len(row) + j for j, name in enumerate(hierarchy.label_names)}
    graph = hierarchy.to_networkx()
    return [{row[parent] for parent in graph.predecessors(("label", name))} for name in hierarchy.label_names]
