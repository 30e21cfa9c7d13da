"""Kernel ridge regression from landmarks, once for all rows and once without each fold: what `KernelFeatures` fits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

# Ridge penalties for each unit of weight, from the largest.
PENALTIES = tuple(10 ** (-half / 2) for half in range(2, 13))
# What landmarks that nearly coincide need on the diagonal.
_JITTER = 1e-6
# The constant entry, in units of the rows' root mean squared length.
_CONSTANT = 0.5
# Least squared length of rows and distance of landmarks, where all are alike.
_LEAST_SQUARE = 1e-6
# Rows whose directions and kernels are computed together.
_CHUNK = 4096


def gaussian(rows: Tensor, landmarks: Tensor, sharpness: float | Tensor) -> Tensor:
    """Return exp(-sharpness |u - z|²), (n, n_landmarks), for rows u and landmarks z of norm 1."""
    return torch.exp(2 * sharpness * (rows @ landmarks.T - 1))


@dataclass(frozen=True)
class Geometry:
    """How rows are compared: by their direction, after columns were centred and scaled and a constant one was added.

    An outlier among the entries does not set a row apart from all others, and the constant keeps apart rows that differ
    in length alone.

    Attributes
    ----------
    centre, scale : Tensor of shape (n_entries,)
    constant : Tensor of shape ()
    """

    centre: Tensor
    scale: Tensor
    constant: Tensor

    @classmethod
    def of(cls, entries: Tensor, scale: Tensor) -> "Geometry":
        """Return the geometry of rows of shape (n, n_entries) under a scale of their columns."""
        variance, centre = torch.var_mean(entries, 0, correction=0)
        square = variance @ scale.square()
        return cls(centre, scale, _CONSTANT * square.clamp(min=_LEAST_SQUARE).sqrt())

    def directions(self, entries: Tensor) -> Tensor:
        """Return the directions of rows, (n, n_entries + 1), each of norm 1."""
        scaled = (entries - self.centre) * self.scale
        return normalize(torch.cat([scaled, self.constant.expand(len(entries), 1)], dim=1))


@dataclass(frozen=True)
class Task:
    """What is regressed.

    Attributes
    ----------
    entries : Tensor of shape (n, n_entries)
    labels : Tensor of shape (n, n_labels)
        Probabilities.
    weights : Tensor of shape (n,)
    fold : Tensor of shape (n,), int64
    """

    entries: Tensor
    labels: Tensor
    weights: Tensor
    fold: Tensor

    def select(self, rows: Tensor) -> "Task":
        """Return the task of some of the rows, given by index or by a mask."""
        return Task(self.entries[rows], self.labels[rows], self.weights[rows], self.fold[rows])


@dataclass(frozen=True)
class KernelFunction:
    """The function mean + Σ_z weight_z exp(-sharpness |u - z|²) of the directions u of rows, z the landmarks.

    Attributes
    ----------
    geometry : Geometry
    sharpness : Tensor of shape ()
    landmarks : Tensor of shape (n_landmarks, n_entries + 1)
    weight : Tensor of shape (n_landmarks, n_labels)
    mean : Tensor of shape (n_labels,)
    """

    geometry: Geometry
    sharpness: Tensor
    landmarks: Tensor
    weight: Tensor
    mean: Tensor

    def __call__(self, entries: Tensor) -> Tensor:
        """Return its values, (n, n_labels), for rows of shape (n, n_entries)."""
        return torch.cat([self._of_rows(rows) for rows in entries.split(_CHUNK)])

    def _of_rows(self, entries: Tensor) -> Tensor:
        return self.of_bumps(gaussian(self.geometry.directions(entries), self.landmarks, self.sharpness))

    def of_bumps(self, bumps: Tensor) -> Tensor:
        """Return its values for rows whose kernels with the landmarks are known, (n, n_landmarks)."""
        return torch.addmm(self.mean, bumps, self.weight)

    def of_labels(self, weight: Tensor) -> "KernelFunction":
        """Return the function with other weights, (n_landmarks, n_some), and mean 0: of some labels or sums of them."""
        return replace(self, weight=weight, mean=weight.new_zeros(weight.shape[1]))

    def squared_slopes(self, entries: Tensor) -> Tensor:
        """Return its squared derivatives by the entries, (n_entries, n_labels), means over rows, (n, n_entries).

        The diagonal of the average gradient outer product (Radhakrishnan, Beaglehole, Pandit and Belkin, 2024).
        """
        rows = self.geometry.directions(entries)
        length = self.geometry.constant / rows[:, -1:]
        bumps = 2 * self.sharpness / length * gaussian(rows, self.landmarks, self.sharpness)
        slopes = [entries.new_zeros(entries.shape[1], 0)]
        for weight in self.weight.T:
            slope = (bumps * weight) @ self.landmarks
            slope -= (slope * rows).sum(1, keepdim=True) * rows  # the length of a direction does not change
            slopes.append(slope[:, :-1].square().mean(0)[:, None])
        return self.geometry.scale.square()[:, None] * torch.cat(slopes, dim=1)


@dataclass(frozen=True)
class HonestFit:
    """Regressions with one penalty.

    Attributes
    ----------
    functions : list of KernelFunction
        One for each fold, of the rows of all others; the last is of all rows.
    penalty : float
    honest : Tensor of shape (n, n_labels)
        For each row, the value of its fold's function.
    loss : float
        Their squared error, summed over labels and weighted rows.
    """

    functions: list[KernelFunction]
    penalty: float
    honest: Tensor
    loss: float


class Space:
    """Functions that are sums of kernels around some landmarks (Nyström; Williams and Seeger, 2001).

    Parameters
    ----------
    geometry : Geometry
    landmarks : Tensor of shape (n_landmarks, n_entries)
    sharpness : float
        In units of the median squared distance of landmarks.
    """

    def __init__(self, geometry: Geometry, landmarks: Tensor, sharpness: float) -> None:
        self.geometry, self.landmarks = geometry, geometry.directions(landmarks)
        square = 2 - 2 * self.landmarks @ self.landmarks.T
        self.sharpness = sharpness / square.flatten().median().clamp(min=_LEAST_SQUARE)
        exact = self.landmarks.double()  # single precision could make the kernel indefinite
        kernel = gaussian(exact, exact, self.sharpness.double())
        kernel.diagonal().add_(_JITTER)
        self.factor = torch.linalg.cholesky(kernel)

    def bumps(self, entries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kernels of rows with the landmarks, and units in which a function's norm is that of its weights.

        Both have shape (n, n_landmarks).
        """
        inverse = torch.linalg.solve_triangular(self.factor, torch.eye(len(self.factor)).to(self.factor), upper=False)
        chunks = entries.split(_CHUNK)
        values = torch.cat(
            [gaussian(self.geometry.directions(rows), self.landmarks, self.sharpness) for rows in chunks]
        )
        return values, values @ inverse.T.to(values)

    def function(self, solution: Tensor, mean: Tensor) -> KernelFunction:
        """Return the function with weights of the units, (n_landmarks, n_labels), and a mean, (n_labels,)."""
        weight = torch.linalg.solve_triangular(self.factor.T, solution, upper=True)
        # In rows: a function that was stored and loaded should round as this one does.
        weight = weight.to(self.landmarks).contiguous()
        return KernelFunction(self.geometry, self.sharpness, self.landmarks, weight, mean)


def fit_folds(task: Task, spaces: Sequence[Space], largest: float = math.inf) -> HonestFit:
    """Regress the labels' deviations from their means, with the penalty of the least honest squared error.

    Parameters
    ----------
    task : Task
    spaces : sequence of Space
        One for each fold, and one for the regression on all rows; neighbours that are the same object share their work.
    largest : float
        Bound of the `PENALTIES` that are tried, from the largest as long as the honest error falls.
    """
    regressions: list[_Regression] = []
    for fold, space in enumerate(spaces):
        if not fold or space is not spaces[fold - 1]:
            values, units = space.bumps(task.entries)
        regressions.append(_Regression(task, fold, space, values, units))
    *without, of_all = regressions
    best_loss, best = math.inf, None
    for penalty in (some for some in PENALTIES if some <= largest):
        functions = [regression.solve(penalty) for regression in without]
        honest = torch.empty_like(task.labels)
        for fold, (regression, function) in enumerate(zip(without, functions, strict=True)):
            honest[task.fold == fold] = function.of_bumps(regression.asked)
        loss = float(task.weights @ (honest - task.labels).square().sum(1))
        if not loss < best_loss:
            break
        best_loss, best = loss, HonestFit(functions, penalty, honest, loss)
    assert best is not None, "the honest error is a finite number"
    return replace(best, functions=[*best.functions, of_all.solve(best.penalty)])


class _Regression:
    """The sums over the rows of all other folds that regressions of all penalties are solved from.

    ``asked`` are the kernels of the fold's own rows with the landmarks.
    """

    def __init__(self, task: Task, fold: int, space: Space, values: Tensor, units: Tensor) -> None:
        others = task.fold != fold
        self.space, self.asked, units = space, values[~others], units[others]
        weights, labels = task.weights[others, None], task.labels[others]
        weights = weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        self.mean = (weights * labels).sum(0)
        self.gram = (units.T @ (weights * units)).double()
        self.product = (units.T @ (weights * (labels - self.mean))).double()

    def solve(self, penalty: float) -> KernelFunction:
        """Return the function of the least squared error plus its squared norm times the penalty."""
        system = self.gram.clone()
        system.diagonal().add_(penalty)
        solution = torch.cholesky_solve(self.product, torch.linalg.cholesky(system))
        return self.space.function(solution, self.mean)
