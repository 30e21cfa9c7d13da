"""Kernel ridge regression from landmarks, once for all rows and once without each fold: what `KernelFeatures` fits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby

import torch
from torch import Tensor
from torch.linalg import solve_triangular
from torch.nn.functional import normalize

from rungwise._products import symmetric_product

# Ridge penalties for each unit of weight, from the largest.
PENALTIES = tuple(10 ** (-half / 2) for half in range(2, 13))
# What landmarks that nearly coincide need on the diagonal.
_JITTER = 1e-6
# The constant entry, in units of the rows' root mean squared length.
_CONSTANT = 0.5
# Least squared length of rows, where all are alike, and distance of landmarks that differ.
_LEAST_SQUARE = 1e-6
# The median distance of the first so many landmarks, which are drawn at random, stands for that of all.
_MEDIAN_LANDMARKS = 500
# Rows whose directions and kernels are computed together.
_CHUNK = 4096


def gaussian(rows: Tensor, landmarks: Tensor, sharpness: float | Tensor) -> Tensor:
    """Return exp(-sharpness |u - z|²), (n, n_landmarks), for rows u and landmarks z of norm 1."""
    return (rows @ landmarks.T).sub_(1).mul_(2 * sharpness).exp_()


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
    def of(cls, variance: Tensor, centre: Tensor, scale: Tensor) -> "Geometry":
        """Return the geometry under a scale of the columns, whose variance and centre are given, each (n_entries,)."""
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
        bumps = gaussian(self.geometry.directions(entries), self.landmarks, self.sharpness)
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
        In units of the median squared distance of landmarks that differ.
    """

    def __init__(self, geometry: Geometry, landmarks: Tensor, sharpness: float) -> None:
        self.geometry, self.landmarks = geometry, geometry.directions(landmarks)
        exact = self.landmarks.double()  # single precision could make the kernel indefinite
        square = 2 - 2 * exact @ exact.T
        apart = square[:_MEDIAN_LANDMARKS, :_MEDIAN_LANDMARKS]
        apart = apart[apart > _LEAST_SQUARE]
        exact_sharpness = sharpness / (apart.median() if len(apart) else square.new_ones(()))
        self.sharpness = exact_sharpness.to(self.landmarks)
        kernel = torch.exp(-exact_sharpness * square)
        kernel.diagonal().add_(_JITTER)
        self.factor = torch.linalg.cholesky(kernel)

    def units(self, entries: Tensor) -> Tensor:
        """Return functions of rows, (n, n_landmarks), such that the norm of a sum of them is that of its weights."""
        units = entries.new_empty(len(entries), len(self.landmarks))
        factor = self.factor.to(units)
        for start in range(0, len(entries), _CHUNK):
            rows = slice(start, start + _CHUNK)
            bumps = gaussian(self.geometry.directions(entries[rows]), self.landmarks, self.sharpness)
            units[rows] = solve_triangular(factor, bumps.T, upper=False).T
        return units

    def weight(self, solution: Tensor) -> Tensor:
        """Return the weights of the kernels in sums of units with some weights, both (n_landmarks, n_labels)."""
        # Laid out as in a layer that is loaded, so that it rounds alike.
        return solve_triangular(self.factor.T, solution, upper=True).contiguous()


def fit_folds(task: Task, spaces: Sequence[Space], first_penalty: float | None = None) -> HonestFit:
    """Regress the labels' deviations from their means, with the penalty of the least honest squared error nearby.

    Parameters
    ----------
    task : Task
    spaces : sequence of Space
        One for each fold, and one for the regression on all rows; neighbours that are the same object share their work.
    first_penalty : float, optional
        One of `PENALTIES` to start from, the largest if not given: smaller ones are tried as long as the honest error
        falls, and larger ones if it never did.
    """
    regressions: list[_Regression] = []
    for space, run in groupby(enumerate(spaces), key=lambda pair: pair[1]):
        regressions += _regressions(task, space, [fold for fold, _ in run])
    *without, of_all = regressions

    def fit(penalty: float) -> tuple[float, list[Tensor], Tensor]:
        solutions = [regression.solve(penalty) for regression in without]
        honest = torch.empty_like(task.labels)
        for fold, (regression, solution) in enumerate(zip(without, solutions, strict=True)):
            honest[task.fold == fold] = regression.honest_values(solution)
        return float(task.weights @ (honest - task.labels).square().sum(1)), solutions, honest

    start = 0 if first_penalty is None else PENALTIES.index(first_penalty)
    penalty, best = PENALTIES[start], fit(PENALTIES[start])
    for others in (PENALTIES[start + 1 :], PENALTIES[:start][::-1]):
        for other in others:
            found = fit(other)
            if not found[0] < best[0]:
                break
            penalty, best = other, found
        if penalty != PENALTIES[start]:
            break
    loss, solutions, honest = best
    assert math.isfinite(loss), "the honest error is a finite number"
    solutions.append(of_all.solve(penalty))
    functions = [regression.function(solution) for regression, solution in zip(regressions, solutions, strict=True)]
    return HonestFit(functions, penalty, honest, loss)


def _regressions(task: Task, space: Space, folds: Sequence[int]) -> "list[_Regression]":
    """Return for each of some folds the regression in a space without its rows."""
    units = space.units(task.entries)
    constants = task.labels.mean(0)  # any would do; deviations from these round well
    task = replace(task, labels=task.labels - constants)
    own = [task.fold == fold for fold in folds]
    # What all regressions have in common is added up once.
    rest = _Sums.of_rows(task, units, ~torch.stack(own).any(0))
    of_folds = [_Sums.of_rows(task, units, rows) for rows in own] if len(folds) > 1 else [rest]
    regressions = []
    for place, rows in enumerate(own):
        sums = reduce(_Sums.__add__, of_folds[:place] + of_folds[place + 1 :], rest)
        regressions.append(_Regression(space, units[rows], sums, constants))
    return regressions


@dataclass(frozen=True)
class _Sums:
    """Sums over weighted rows, in double precision.

    Attributes
    ----------
    weight : Tensor of shape ()
    units : Tensor of shape (n_landmarks,)
    labels : Tensor of shape (n_labels,)
    gram : Tensor of shape (n_landmarks, n_landmarks)
        Of products of units.
    product : Tensor of shape (n_landmarks, n_labels)
        Of products of units and labels.
    """

    weight: Tensor
    units: Tensor
    labels: Tensor
    gram: Tensor
    product: Tensor

    @classmethod
    def of_rows(cls, task: Task, units: Tensor, chosen: Tensor) -> "_Sums":
        """Return the sums over the chosen rows, a mask of shape (n,)."""
        n_units, n_labels = units.shape[1], task.labels.shape[1]
        shapes: list[tuple[int, ...]] = [(), (n_units,), (n_labels,), (n_units, n_units), (n_units, n_labels)]
        sums = cls(*(units.new_zeros(shape, dtype=torch.float64) for shape in shapes))
        for rows in chosen.nonzero()[:, 0].split(_CHUNK):
            some, weights, labels = units[rows], task.weights[rows, None], task.labels[rows]
            weighted = weights * some
            sums.weight.add_(weights.sum())
            sums.units.add_(weighted.sum(0))
            sums.labels.add_((weights * labels).sum(0))
            sums.product.add_(weighted.T @ labels)
            sums.gram.add_(symmetric_product(weighted, some))
        return sums

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


class _Regression:
    """The regressions of all penalties on rows with some sums, of labels less some constants.

    ``own_units`` are the units of rows of which their honest values are asked.
    """

    def __init__(self, space: Space, own_units: Tensor, sums: _Sums, constants: Tensor) -> None:
        self.space, self.own_units = space, own_units
        weight = sums.weight.clamp(min=torch.finfo(own_units.dtype).tiny)
        mean = sums.labels / weight
        # Constants know the labels of all rows. Where no other row has weight, nothing is to be said.
        self.mean = torch.where(sums.weight > 0, constants + mean.to(constants), 0.5)
        self.gram = sums.gram / weight
        self.product = (sums.product - torch.outer(sums.units, mean)) / weight

    def solve(self, penalty: float) -> Tensor:
        """Return the weights of the units of the least squared error plus their squared norm times the penalty."""
        system = self.gram.clone()
        system.diagonal().add_(penalty)
        return torch.cholesky_solve(self.product, torch.linalg.cholesky(system))

    def honest_values(self, solution: Tensor) -> Tensor:
        """Return the values for the fold's own rows of the function with these weights of the units."""
        return torch.addmm(self.mean, self.own_units, solution.to(self.own_units))

    def function(self, solution: Tensor) -> KernelFunction:
        """Return the function with these weights of the units."""
        weight = self.space.weight(solution).to(self.mean)
        return KernelFunction(self.space.geometry, self.space.sharpness, self.space.landmarks, weight, self.mean)
