"""Kernel features: hidden units are Gaussian bumps around training rows, and their readout a ridge regression.

Forests cut a table along its columns; a kernel compares whole rows, and so adds up what many columns say a little
about.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rungwise._validation import check_whole
from rungwise.features.kernel_ridge import KernelRidge, Task, gaussian
from rungwise.features.opinions import Distinct, Opinions, Standing, express

# Times the median squared distance: bumps nearly as wide as the data, or more local.
_SHARPNESS = (0.3, 1.0, 3.0)
# Landmarks and rows that the sharpness is chosen with.
_FEW_LANDMARKS, _FEW_ROWS = 250, 2000
# The constant entry, in units of the rows' root mean squared norm.
_CONSTANT = 0.5
# Least squared length of rows and distance of landmarks, where all are alike.
_LEAST_SQUARE = 1e-6
# Rows that predictions compare with the landmarks together.
_CHUNK = 4096
# Of so many rows and labels importance is told; of fewer rows where labels are many.
_MAX_SLOPES, _MAX_SLOPE_ROWS, _MIN_SLOPE_ROWS = 20_000, 200, 20


class KernelLayer(nn.Module):
    """A kernel regression's opinion about each label, in [-1, 1] (as log-odds under the link "tanh").

    Parameters
    ----------
    tensors : dict of str to Tensor
        ``centre`` (n_entries,) and ``constant`` () of `directions`, ``sharpness`` () of the kernel, ``landmarks``
        (n_landmarks, n_entries + 1), ``weight`` (n_landmarks, n_labels), and ``mean`` (n_labels,), which is what is
        said of a row far from all landmarks.
    link : {"clip", "tanh"}
    """

    kind = "kernel"
    centre: Tensor
    constant: Tensor
    sharpness: Tensor
    landmarks: Tensor
    weight: Tensor
    mean: Tensor

    def __init__(self, tensors: dict[str, Tensor], link: str) -> None:
        super().__init__()
        self.link = link
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        n_landmarks, n_labels = self.weight.shape
        return {"n_entries": len(self.centre), "n_landmarks": n_landmarks, "n_labels": n_labels, "link": self.link}

    @classmethod
    def from_config(cls, n_entries: int, n_landmarks: int, n_labels: int, link: str) -> "KernelLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        shapes: dict[str, tuple[int, ...]] = {"centre": (n_entries,), "constant": (), "sharpness": ()}
        shapes |= {"landmarks": (n_landmarks, n_entries + 1), "weight": (n_landmarks, n_labels), "mean": (n_labels,)}
        return cls({name: torch.zeros(shape) for name, shape in shapes.items()}, link)

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        probability = torch.cat([self._probability(rows) for rows in stream.split(_CHUNK)])
        return express(probability.clamp(0, 1), self.link)

    def _probability(self, stream: Tensor) -> Tensor:
        rows = directions(stream, self.centre, self.constant)
        return torch.addmm(self.mean, gaussian(rows, self.landmarks, self.sharpness), self.weight)

    def squared_slopes(self, stream: Tensor, labels: Tensor) -> Tensor:
        """Return mean squared derivatives of some labels' probabilities by stream entries, (n_entries, n_some).

        Parameters
        ----------
        stream : Tensor of shape (n, n_entries)
            The rows that the mean is of.
        labels : Tensor of shape (n_some,), int64
        """
        rows = directions(stream, self.centre, self.constant)
        length = self.constant / rows[:, -1:]
        bumps = 2 * self.sharpness / length * gaussian(rows, self.landmarks, self.sharpness)
        slopes = [stream.new_zeros(stream.shape[1], 0)]
        for label in labels.tolist():
            slope = (bumps * self.weight[:, label]) @ self.landmarks
            slope -= (slope * rows).sum(1, keepdim=True) * rows  # the length of rows does not count
            slopes.append(slope[:, :-1].square().mean(0)[:, None])
        return torch.cat(slopes, dim=1)


def directions(stream: Tensor, centre: Tensor, constant: Tensor) -> Tensor:
    """Return centred rows with a constant entry, scaled to norm 1, (n, n_entries + 1).

    An outlier among the entries does not set a row apart from all others, and the constant entry keeps apart rows that
    differ in length alone.
    """
    return nn.functional.normalize(torch.cat([stream - centre, constant.expand(len(stream), 1)], dim=1))


@dataclass(frozen=True)
class KernelFeatures:
    """The feature map that fits a kernel ridge regression for every block.

    Sharpness and penalty are those of the least honest squared error, the same for all labels.

    Parameters
    ----------
    n_landmarks : int, at least 1
        Most training rows that have a bump.
    """

    name: ClassVar[str] = "kernel"
    n_landmarks: int = 1000

    def __post_init__(self) -> None:
        check_whole("n_landmarks", self.n_landmarks, 1)

    def fit_honest(
        self, stream: Tensor, generator: torch.Generator, objective: Any, grouping: Any, standing: Standing
    ) -> Opinions:
        """Fit a regression and return it with its out-of-fold opinions; see `rungwise.features.HonestFeatureMap`."""
        distinct = Distinct.of(objective, grouping)
        entries, fold = stream[distinct.first], grouping.fold[distinct.first]

        def draw(n_rows: int) -> Tensor:
            return torch.randperm(len(entries), generator=generator)[:n_rows].to(entries.device)

        centre = entries.mean(0)
        length = (entries - centre).square().sum(1).mean().clamp(min=_LEAST_SQUARE).sqrt()
        rows = directions(entries, centre, _CONSTANT * length)
        landmarks = rows[draw(self.n_landmarks)]
        few = landmarks[:_FEW_LANDMARKS]
        distance = (2 - 2 * few @ few.T).flatten().median().clamp(min=_LEAST_SQUARE)

        task = Task(rows, distinct.positives, distinct.weights, fold)
        trial = task.select(draw(_FEW_ROWS))
        trials = [KernelRidge(trial, few, float(times / distance)) for times in _SHARPNESS]
        best = min(trials, key=lambda ridge: ridge.loss)
        # More landmarks leave less unexplained: the penalty can only become smaller.
        ridge = KernelRidge(task, landmarks, best.sharpness, best.penalty)
        tensors = {"centre": centre, "constant": _CONSTANT * length, "sharpness": stream.new_tensor(ridge.sharpness)}
        tensors |= {"landmarks": landmarks, "weight": ridge.weight, "mean": ridge.mean}
        layer = KernelLayer(tensors, objective.loss.link)
        spread, sample = entries.var(0, correction=0), entries[draw(_MAX_SLOPE_ROWS)]

        def importance(labels: Tensor) -> Tensor:
            n_rows = max(_MIN_SLOPE_ROWS, _MAX_SLOPES // max(1, len(labels)))
            return spread[:, None] * layer.squared_slopes(sample[:n_rows], labels)

        return Opinions(layer, express(ridge.honest[distinct.place].clamp(0, 1), layer.link), importance)
