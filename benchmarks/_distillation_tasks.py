"""The tasks of `benchmarks.distillation`: rows, what is to be told about them, and a large network that was taught it.

Digits, verdicts about pairs of digits (`make_digit_pairs`), and two of the sets of `_real_sets`: the ten trace patterns
of ctg, and the kind of connection, normal or one of four kinds of attack, of nslkdd20, whose test rows were recorded
later and hold attacks that no training row shows. The first class is the one that is none of the labels, where there is
one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from benchmarks._real_sets import load_split
from rungwise.datasets import make_digit_pairs

TEACHER_WIDTH, N_LAYERS = 512, 3
# Standardised entries beyond are counts of rare things; a network should not have to extrapolate.
_LARGEST = 5.0


@dataclass(frozen=True)
class Task:
    """Standardised rows of a set.

    Attributes
    ----------
    X, X_test : float32 array of shape (n, d) and (n_test, d)
    Y, Y_test : float32 array of shape (n, n_outputs) and (n_test, n_outputs), of {0, 1}
    exclusive : bool
        Whether exactly one output of every row is 1.
    """

    X: np.ndarray
    Y: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    exclusive: bool

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return what scores of shape (n, n_outputs) decide: the best class, (n, 1), or the signs, (n, n_outputs)."""
        return scores.argmax(axis=1)[:, None] if self.exclusive else scores > 0

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of scores, (n, n_outputs), with targets in [0, 1]."""
        if self.exclusive:
            return nn.functional.cross_entropy(scores, targets)
        return nn.functional.binary_cross_entropy_with_logits(scores, targets)


def mlp(n_inputs: int, width: int, n_outputs: int, dropout: float = 0.0) -> nn.Sequential:
    """Return a network of N_LAYERS hidden layers with names hidden_1, hidden_2, …, in front of their ReLUs."""
    network = nn.Sequential()
    for k in range(1, N_LAYERS + 1):
        network.add_module(f"hidden_{k}", nn.Linear(n_inputs if k == 1 else width, width))
        network.add_module(f"relu_{k}", nn.ReLU())
        network.add_module(f"dropout_{k}", nn.Dropout(dropout))
    network.add_module("scores", nn.Linear(width, n_outputs))
    return network


def train_teacher(task: Task, steps: int) -> nn.Sequential:
    """Return a large network, trained on all training rows by AdamW with one cycle of the learning rate."""
    torch.manual_seed(0)  # layers and dropout draw from nowhere else
    network = mlp(task.X.shape[1], TEACHER_WIDTH, task.Y.shape[1], dropout=0.3)
    x, y = torch.from_numpy(task.X), torch.from_numpy(task.Y)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        task.loss(network(x[rows]), y[rows]).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def load_task(name: str) -> Task:
    """Return one of TASKS; FileNotFoundError if its file is not there."""
    return TASKS[name]()


def _digits() -> Task:
    images, digits = load_digits(return_X_y=True)
    train, test = train_test_split(np.arange(len(digits)), test_size=0.3, stratify=digits, random_state=0)
    Y = np.eye(10)[digits]
    return _standardised(images[train], Y[train], images[test], Y[test], exclusive=True)


def _digit_pairs() -> Task:
    train, test = make_digit_pairs(20000, random_state=0), make_digit_pairs(4000, "test", random_state=1)
    verdicts = train.level > 1
    return _standardised(train.X, train.Y[:, verdicts], test.X, test.Y[:, verdicts], exclusive=False)


def _ctg() -> Task:
    split = load_split("ctg")
    return _standardised(split.X, split.Y[:, :10], split.X_test, split.Y_test[:, :10], exclusive=True)


def _nslkdd20() -> Task:
    split = load_split("nslkdd20")

    def kinds(Y: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - Y[:, 0], Y[:, 1:5]])  # labels: attack, its four kinds, and the attacks

    X, X_test = (np.log1p(part.toarray() if issparse(part) else part) for part in (split.X, split.X_test))
    return _standardised(X, kinds(split.Y), X_test, kinds(split.Y_test), exclusive=True)


def _standardised(X: np.ndarray, Y: np.ndarray, X_test: np.ndarray, Y_test: np.ndarray, exclusive: bool) -> Task:
    scaler = StandardScaler().fit(X)
    X, X_test = (scaler.transform(part).clip(-_LARGEST, _LARGEST).astype(np.float32) for part in (X, X_test))
    return Task(X, Y.astype(np.float32), X_test, Y_test.astype(np.float32), exclusive)


TASKS: dict[str, Callable[[], Task]] = {
    "digits": _digits,
    "digit pairs": _digit_pairs,
    "ctg": _ctg,
    "nslkdd20": _nslkdd20,
}
