"""Kernel features: hidden units are Gaussian bumps around training rows, and their readout a ridge regression.

Forests cut a table along its columns; a kernel compares whole rows, and so adds up what many columns say a little
about. Which columns count is learned from the slopes of the regression itself, as in recursive feature machines
(Radhakrishnan, Beaglehole, Pandit and Belkin, 2024).
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rungwise._validation import check_whole
from rungwise.features.kernel_ridge import Geometry, HonestFit, KernelFunction, Space, Task, fit_folds
from rungwise.features.opinions import Distinct, Opinions, Standing, express, of_own_fold

# In units of the median squared distance.
_SHARPNESS = (1.0, 3.0)
# Landmarks and rows of the first regressions, which scales and sharpness are learned from.
_FEW_LANDMARKS, _FEW_ROWS = 250, 1000
# Slopes are taken at so many rows; for scales, of so many random sums of labels.
_SLOPE_ROWS, _SLOPE_SUMS = 40, 10
# A label of hardly any positives or negatives counts as if its standard deviation were this.
_LEAST_DEVIATION = 0.01


class KernelLayer(nn.Module):
    """A kernel regression's opinion about each label, in [-1, 1] (as log-odds under the link "tanh").

    Parameters
    ----------
    tensors : dict of str to Tensor
        ``centre``, ``scale``, ``constant``, ``sharpness``, ``landmarks``, ``weight`` and ``mean`` of a
        `rungwise.features.kernel_ridge.KernelFunction`.
    link : {"clip", "tanh"}
    """

    kind = "kernel"
    centre: Tensor
    scale: Tensor
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

    @classmethod
    def of(cls, function: KernelFunction, link: str) -> "KernelLayer":
        """Return the layer of a function of probabilities."""
        tensors = vars(function.geometry) | vars(function)
        del tensors["geometry"]
        return cls(tensors, link)

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` needs, beside the tensors, to build this layer again."""
        n_landmarks, n_labels = self.weight.shape
        return {"n_entries": len(self.centre), "n_landmarks": n_landmarks, "n_labels": n_labels, "link": self.link}

    @classmethod
    def from_config(cls, n_entries: int, n_landmarks: int, n_labels: int, link: str) -> "KernelLayer":
        """Return a layer of zeros, to be filled by ``load_state_dict``."""
        shapes: dict[str, tuple[int, ...]] = {"centre": (n_entries,), "scale": (n_entries,), "constant": ()}
        shapes |= {"sharpness": (), "landmarks": (n_landmarks, n_entries + 1)}
        shapes |= {"weight": (n_landmarks, n_labels), "mean": (n_labels,)}
        return cls({name: torch.zeros(shape) for name, shape in shapes.items()}, link)

    @property
    def function(self) -> KernelFunction:
        """What it says, as probabilities."""
        geometry = Geometry(self.centre, self.scale, self.constant)
        return KernelFunction(geometry, self.sharpness, self.landmarks, self.weight, self.mean)

    def forward(self, stream: Tensor) -> Tensor:
        """Return an opinion about each label, (n, n_labels), for a stream of shape (n, n_entries)."""
        return express(self.function(stream).clamp(0, 1), self.link)


@dataclass(frozen=True)
class KernelFeatures:
    """The feature map that fits a kernel ridge regression for every block.

    Scales of the stream entries, the sharpness of the kernel and the penalty are the same for all labels. Scales are
    learned for each half of the folds without its labels. Sharpness, on a sample of rows, and penalty are two numbers,
    chosen by the honest squared error over all folds. All of it is fitted in single precision.

    Parameters
    ----------
    n_landmarks : int, at least 1
        At most so many training rows have a bump around them.
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
        entries = stream[distinct.first].float()
        fold = grouping.fold[distinct.first]
        task = Task(entries, distinct.positives.float(), distinct.weights.float(), fold)

        def draw(n_rows: int) -> Tensor:
            return torch.randperm(len(entries), generator=generator)[:n_rows].to(entries.device)

        variance, centre = torch.var_mean(entries, 0, correction=0)
        plain = Geometry.of(variance, centre, torch.ones_like(centre))
        # Folds of one half share their scales, and with them most of the work.
        half_of = grouping.halves()
        half_of_row = torch.tensor(half_of, device=fold.device)[fold]
        # Where few rows are annotated, a sample of all would often hold none of them.
        order = draw(len(entries))
        some = replace(task, fold=half_of_row).select(order[task.weights[order] > 0][:_FEW_ROWS])
        few = entries[draw(_FEW_LANDMARKS)]
        trials = [fit_folds(some, [Space(plain, few, sharpness)] * (half_of[-1] + 2)) for sharpness in _SHARPNESS]
        trial, sharpness = min(zip(trials, _SHARPNESS, strict=True), key=lambda pair: pair[0].loss)
        scales = _scales(trial, entries[draw(_SLOPE_ROWS)], generator)
        landmarks = entries[draw(self.n_landmarks)]
        spaces = [Space(Geometry.of(variance, centre, scale), landmarks, sharpness) for scale in scales]
        fit = fit_folds(task, [*(spaces[half] for half in half_of), spaces[-1]], trial.penalty)
        layer = KernelLayer.of(fit.functions[-1], objective.loss.link).to(stream)
        spread, sample = stream.var(0, correction=0), stream[distinct.first[draw(_SLOPE_ROWS)]]

        def importance(labels: Tensor) -> Tensor:
            return spread[:, None] * layer.function.of_labels(layer.weight[:, labels]).squared_slopes(sample)

        def opinion(probability: Tensor) -> Tensor:
            return express(probability.clamp(0, 1).to(stream), layer.link)

        def honest_at(entries: Tensor, rows: Tensor) -> Tensor:
            return opinion(of_own_fold(fit.functions[:-1], grouping.fold[rows], entries.float()))

        return Opinions(layer, opinion(fit.honest[distinct.place]), honest_at, importance)


def _scales(trial: HonestFit, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Return for each function scales by which entries count the more, the steeper it is along them at some rows.

    Labels count alike, however rare.
    """
    n_labels = trial.honest.shape[1]
    sums = torch.eye(n_labels)
    if n_labels > _SLOPE_SUMS:
        # The squared slopes of random sums are, on average and up to a factor, those of the labels together.
        sums = torch.randn(n_labels, _SLOPE_SUMS, generator=generator)
    scales = []
    for function in trial.functions:
        variance = (function.mean * (1 - function.mean)).clamp(min=_LEAST_DEVIATION**2)
        weight = function.weight / variance.sqrt() @ sums.to(variance)
        slope = function.of_labels(weight).squared_slopes(rows).sum(1).sqrt()
        if not slope.any():  # nothing was learned: columns stay as they are
            slope = torch.ones_like(slope)
        # The root: what a few rows say little about is not left out.
        scales.append((slope / slope.mean()).sqrt())
    return scales
