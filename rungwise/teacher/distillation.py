"""Distillation: a small network that learns from a large one, layer by layer, with few examples.

The rungs are the layers of the teacher. What it reveals about a layer are the activations of some of its units, graded
hints, not only whether they exceed their medians: with fewer examples than inputs, a sign says too little about where a
unit looks. A block learns the hints of a layer from its estimates of those of the layer below, by the same convex
readout as every other block of the package.
"""

from typing import Any

import numpy as np
import torch
from scipy.linalg import qr
from torch import Tensor, nn

from rungwise._random import RandomState, spawn_generators
from rungwise._validation import check_whole
from rungwise.fitting.folds import assign_folds, find_units, fold_slices
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import fit_readout
from rungwise.teacher.module import ModuleTeacher

# Folds that the penalties are chosen on, as in RungwiseClassifier.
_N_FOLDS = 5
# Units of which less is left, when what others tell is taken away, tell nothing new: single precision is not better.
_LEAST_LEFT = 1e-6


def distil(
    teacher: ModuleTeacher,
    X: Any,
    n_hints: int = 128,
    activation: nn.Module | None = None,
    random_state: RandomState = None,
) -> nn.Sequential:
    """Teach a small network what a large one does.

    Parameters
    ----------
    teacher : ModuleTeacher
        Its ``layers`` are the rungs. Name those in front of the nonlinearities, such as every ``nn.Linear`` but the
        last: each is then a linear function of what the block sees, the first one of X.
    X : array or Tensor of shape (n_samples, ...), at least two different rows
        Numbers that the teacher reads. Nobody has to know their labels.
    n_hints : int, at least 1
        Number of hints of each layer, the activations of as many units: the width of the student. Units that tell of
        each other on these rows are not both chosen as long as there are others.
    activation : nn.Module, optional
        The nonlinearity between the teacher's layers, without parameters; ``nn.ReLU()`` if not given.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        Which units, where there are fewer rows than hints.

    Returns
    -------
    student : nn.Sequential
        On the CPU. Maps what the teacher reads, as float32, to its scores, (n_samples, n_outputs): a linear layer of
        ``n_hints`` estimates for each of the teacher's layers, the activation after each, and a linear layer.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or X has fewer than two different rows, or values that are not finite.

    Notes
    -----
    ``ModuleTeacher.hints`` gives the paper's hints instead, majorities of ±1 neurons, as labels for
    `RungwiseClassifier`. docs/distillation.md compares the two.

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(5, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 3))
    >>> X = np.random.default_rng(0).standard_normal((100, 5)).astype(np.float32)
    >>> student = distil(ModuleTeacher(module, ["0", "2"], X), X, n_hints=10, random_state=0)
    >>> [tuple(part.weight.shape) for part in student if isinstance(part, nn.Linear)]
    [(10, 5), (10, 10), (3, 10)]
    """
    n_hints = check_whole("n_hints", n_hints, 1)
    (rng,) = spawn_generators(random_state, 1)
    activation = nn.ReLU() if activation is None else activation
    layers, scores = teacher.activations(X), teacher.scores(X)
    inputs = X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
    inputs = inputs.reshape(len(inputs), -1).astype(np.float64)
    if not np.isfinite(inputs).all():
        raise ValueError(f"X must be finite, however: {int((~np.isfinite(inputs)).sum())} entries are not")
    targets = [*(choose_units(layer, n_hints, activation, rng) for layer in layers), scores]

    # Copies of a row share a fold: what speaks about a row must not have seen it.
    fold = assign_folds(find_units(inputs, seed=0), _N_FOLDS)
    order, folds = np.argsort(fold, kind="stable"), fold_slices(fold)
    below, student = torch.from_numpy(inputs[order]), nn.Sequential(nn.Flatten())
    for target in targets:
        linear = _regress(below, torch.from_numpy(target[order]).double(), folds)
        student.extend([linear, activation])
        # Not the honest estimates that other blocks hand upward: a teacher makes no noise that could be learned by
        # heart, and five different functions of the rows would blur the next layer.
        with torch.no_grad():
            below = activation(linear(below))
    return nn.Sequential(*list(student)[:-1]).float()


def choose_units(layer: np.ndarray, n_hints: int, activation: nn.Module, rng: np.random.Generator) -> np.ndarray:
    """Return the activations of some units, (n, n_hints), of all that vary if those are fewer, of one if none does.

    First those that tell most of what the units before them do not, to the layer above: pivoted QR decomposition. They
    are no more than there are rows; the rest are drawn at random.
    """
    varying = np.flatnonzero(np.ptp(layer, axis=0) > 0)
    if not len(varying):
        return layer[:, :1]
    passed = activation(torch.from_numpy(layer[:, varying]).double()).numpy()
    triangle, order = qr(passed - passed.mean(axis=0), mode="r", pivoting=True)
    left = np.abs(np.diag(triangle))
    n_told = int((left > _LEAST_LEFT * left[0]).sum())
    order = np.concatenate([order[:n_told], rng.permutation(order[n_told:])])
    return layer[:, varying[order[:n_hints]]]


def _regress(hidden: Tensor, targets: Tensor, folds: list[slice]) -> nn.Linear:
    """Return the linear layer from hidden units, (n, n_units), to targets, (n, n_targets): ridge regression."""
    # The squared loss asks for f = y, whatever numbers y are.
    objective = Objective(SquaredLoss(), hidden, targets, torch.ones_like(targets), torch.zeros_like(targets))
    readout = fit_readout(objective, folds)
    # Without the random start, which would read the global seed.
    linear = nn.utils.skip_init(nn.Linear, hidden.shape[1], targets.shape[1], dtype=hidden.dtype)
    linear.load_state_dict({"weight": readout.weight.T, "bias": readout.bias})
    return linear
