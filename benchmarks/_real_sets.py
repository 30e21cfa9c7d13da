"""The sets of `benchmarks.real`: files in the folder RUNGWISE_DATA, else ../shared/data; if quick, generated ones."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.datasets import make_multilabel_classification

# Not the circuit that lies beside them: its labels are exact gates, and benchmarks.deep is about those.
REAL_SETS = ("emotions", "yeast", "medical", "ctg", "nslkdd20", "cellcycle_FUN")
QUICK_SETS = ("generated dense", "generated sparse")
# After the name of a set: a third of its training rows is judged on, and nothing is seen of its test rows.
TRAINING_ROWS = ", training rows"


@dataclass(frozen=True)
class Split:
    """What a learner is given, and what it is judged on.

    Attributes
    ----------
    X, X_test : float32 ndarray or CSR matrix of shape (n, d) and (n_test, d)
        NaN where a feature is missing.
    Y, Y_test : int8 ndarray of shape (n, L) and (n_test, L)
    """

    X: np.ndarray | csr_matrix
    Y: np.ndarray
    X_test: np.ndarray | csr_matrix
    Y_test: np.ndarray


def use_data_folder() -> Path:
    """Return the folder of the files, and let `rungwise.datasets` look there, too."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.setdefault("RUNGWISE_DATA", str(beside)))


def load_split(name: str, seed: int = 0) -> Split:
    """Return a set: training and validation rows to learn from, and the standard test rows.

    With `TRAINING_ROWS` after the name, both are parts of the former, drawn by the seed.
    """
    if name.endswith(TRAINING_ROWS):
        whole = load_split(name.removesuffix(TRAINING_ROWS))
        order = np.random.default_rng(seed).permutation(len(whole.Y))
        judged, rest = order[: len(order) // 3], order[len(order) // 3 :]
        return Split(whole.X[rest], whole.Y[rest], whole.X[judged], whole.Y[judged])
    if name in QUICK_SETS:
        return _generated(sparse=name == "generated sparse")
    # Here, so that the process which only starts learners stays small.
    from rungwise.datasets import fetch_multilabel

    use_data_folder()
    bunch = fetch_multilabel(name)
    train = np.concatenate([bunch.train_idx, bunch.valid_idx])
    return Split(bunch.X[train], bunch.Y[train], bunch.X[bunch.test_idx], bunch.Y[bunch.test_idx])


def _generated(sparse: bool, n: int = 240, n_train: int = 160) -> Split:
    """Return word counts with five topics, and two labels that are constant in the training rows."""
    X, Y = make_multilabel_classification(n, 12, n_classes=5, random_state=0)
    X, Y = X.astype(np.float32), Y.astype(np.int8)
    unseen = (np.arange(n) >= n - 8).astype(np.int8)
    Y = np.column_stack([Y, unseen, np.ones(n, dtype=np.int8)])
    if sparse:
        X = csr_matrix(X)
    else:
        X[np.random.default_rng(0).random(X.shape) < 0.05] = np.nan
    return Split(X[:n_train], Y[:n_train], X[n_train:], Y[n_train:])
