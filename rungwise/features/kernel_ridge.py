"""Kernel ridge regression from landmarks, with honest estimates: what `KernelFeatures` fits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Ridge penalties for each unit of weight, from the largest.
PENALTIES = tuple(10 ** (-half / 2) for half in range(2, 13))
# What landmarks that nearly coincide need on the diagonal.
_JITTER = 1e-6
# Rows whose kernels are computed together.
_CHUNK = 4096


def gaussian(rows: Tensor, landmarks: Tensor, sharpness: float | Tensor) -> Tensor:
    """Return exp(-sharpness |u - z|²), (n, n_landmarks), for rows u and landmarks z of norm 1."""
    return torch.exp(2 * sharpness * (rows @ landmarks.T - 1))


@dataclass(frozen=True)
class Task:
    """What is regressed.

    Attributes
    ----------
    rows : Tensor of shape (n, n_entries)
        Of norm 1.
    labels : Tensor of shape (n, n_labels)
        Probabilities.
    weights : Tensor of shape (n,)
    fold : Tensor of shape (n,), int64
        Honest estimates of a fold come from the rows of all others.
    """

    rows: Tensor
    labels: Tensor
    weights: Tensor
    fold: Tensor

    def select(self, rows: Tensor) -> "Task":
        """Return the task of some of the rows."""
        return Task(self.rows[rows], self.labels[rows], self.weights[rows], self.fold[rows])


class KernelRidge:
    """Regress the labels' deviations from their means, with the penalty of the least honest squared error.

    The function is a sum of kernels around landmarks (Nyström; Williams and Seeger, NIPS 2001), which is exact if every
    row is one.

    Parameters
    ----------
    task : Task
    landmarks : Tensor of shape (n_landmarks, n_entries)
        Of norm 1.
    sharpness : float
        Of the `gaussian` kernel.
    largest : float
        Bound of the `PENALTIES` that are tried, from the largest as long as the honest error falls.

    Attributes
    ----------
    sharpness, penalty : float
    loss : float
        Honest squared error, summed over rows and labels.
    honest : Tensor of shape (n, n_labels)
        For each row, the estimates that its fold had no part in.
    weight : Tensor of shape (n_landmarks, n_labels)
        Of the regression on all rows.
    mean : Tensor of shape (n_labels,)
    """

    def __init__(self, task: Task, landmarks: Tensor, sharpness: float, largest: float = math.inf) -> None:
        self.sharpness = sharpness
        kernel = gaussian(landmarks, landmarks, sharpness).double()
        kernel.diagonal().add_(_JITTER)
        # In units of this factor the function's norm is that of its weights.
        factor = torch.linalg.cholesky(kernel)
        units = torch.cat([_units(rows, landmarks, sharpness, factor) for rows in task.rows.split(_CHUNK)])
        members = [(task.fold == which).nonzero()[:, 0] for which in range(int(task.fold.max()) + 1)]
        parts = [_Sums.of(units[own].double(), task.labels[own], task.weights[own]) for own in members]
        total = sum(parts[1:], start=parts[0])
        self.loss = math.inf
        for penalty in (some for some in PENALTIES if some <= largest):
            honest = torch.empty_like(task.labels)
            for own, part in zip(members, parts, strict=True):
                solution, mean = (total - part).solve(penalty)
                honest[own] = mean.to(honest) + units[own] @ solution.to(units)
            loss = float(task.weights @ (honest - task.labels).square().sum(1))
            if loss >= self.loss:
                break
            self.loss, self.penalty, self.honest = loss, penalty, honest
        solution, mean = total.solve(self.penalty)
        self.weight = torch.linalg.solve_triangular(factor.T, solution, upper=True).to(units).contiguous()
        self.mean = mean.to(units)


def _units(rows: Tensor, landmarks: Tensor, sharpness: float, factor: Tensor) -> Tensor:
    kernel = gaussian(rows, landmarks, sharpness)
    return torch.linalg.solve_triangular(factor, kernel.double().T, upper=False).T.to(rows)


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over rows: of φ φᵀ, of φ (y, 1)ᵀ, and of (y, 1), for units φ and labels y."""

    gram: Tensor
    product: Tensor
    total: Tensor

    @classmethod
    def of(cls, units: Tensor, labels: Tensor, weights: Tensor) -> "_Sums":
        weighted = weights[:, None] * torch.cat([labels, torch.ones_like(labels[:, :1])], dim=1)
        weighted = weighted.double()
        return cls(units.T @ (weighted[:, -1:] * units), units.T @ weighted, weighted.sum(0))

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.gram + other.gram, self.product + other.product, self.total + other.total)

    def __sub__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.gram - other.gram, self.product - other.product, self.total - other.total)

    def solve(self, penalty: float) -> tuple[Tensor, Tensor]:
        """Return weights, (n_units, n_labels), that explain deviations from the mean, and the mean, (n_labels,)."""
        weight = self.total[-1].clamp(min=torch.finfo(self.total.dtype).tiny)
        mean = self.total[:-1] / weight
        system = self.gram / weight
        system.diagonal().add_(penalty)
        deviation = (self.product[:, :-1] - self.product[:, -1:] * mean) / weight
        return torch.cholesky_solve(deviation, torch.linalg.cholesky(system)), mean
