"""Convex losses of the label margin m = y f, as functions of scores and ±1 targets.

Each loss asks for a margin: labels are the ±1 values that the next block wants to see, so the squared losses aim at
m = 1 and the logistic loss, whose scores are log-odds, at nothing in particular. All act entrywise; masks and weights
belong to the objective.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus


class Loss(Protocol):
    """A convex function of the margin, with what solvers need to know of it."""

    link: ClassVar[str]
    """How a block reads scores trained with this loss as expected labels, a name of `rungwise.network.LINKS`."""
    max_curvature: ClassVar[float]
    """The largest second derivative."""
    is_quadratic: ClassVar[bool]
    """Whether the second derivative is constant, so that one linear system gives the minimum."""

    def value(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of every entry."""

    def slope(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the derivative with respect to the score."""

    def curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the second derivative with respect to the score (a generalised one at kinks of the slope)."""

    def best_scale(self, error: Tensor) -> Tensor:
        """Return the s >= 0 for which the score s v costs least, v = ±1 being wrong on a share error < 1/2."""


@dataclass(frozen=True)
class SquaredLoss:
    """(margin - y f)² / 2, minimised by f = margin · E[y | x]."""

    margin: float = 1.0
    link: ClassVar[str] = "clip"
    max_curvature: ClassVar[float] = 1.0
    is_quadratic: ClassVar[bool] = True

    def value(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return (f - margin y)² / 2."""
        return (scores - self.margin * targets).square() / 2

    def slope(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return f - margin y."""
        return scores - self.margin * targets

    def curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(scores)

    def best_scale(self, error: Tensor) -> Tensor:
        """Return margin (1 - 2 error)."""
        return self.margin * (1 - 2 * error)


@dataclass(frozen=True)
class SquaredHingeLoss:
    """max(0, margin - y f)² / 2: no cost once the label margin is reached."""

    margin: float = 1.0
    link: ClassVar[str] = "clip"
    max_curvature: ClassVar[float] = 1.0
    is_quadratic: ClassVar[bool] = False

    def value(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return max(0, margin - y f)² / 2."""
        return (self.margin - targets * scores).clamp(min=0).square() / 2

    def slope(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return -y max(0, margin - y f)."""
        return -targets * (self.margin - targets * scores).clamp(min=0)

    def curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return 1 where the margin is missed, else 0."""
        return (targets * scores < self.margin).to(scores.dtype)

    def best_scale(self, error: Tensor) -> Tensor:
        """Return margin (1 - 2 error)."""
        return self.margin * (1 - 2 * error)


@dataclass(frozen=True)
class LogisticLoss:
    """log(1 + exp(margin - y f)): with margin 0, f is the log-odds of the label."""

    margin: float = 0.0
    link: ClassVar[str] = "tanh"
    max_curvature: ClassVar[float] = 0.25
    is_quadratic: ClassVar[bool] = False

    def value(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return log(1 + exp(margin - y f))."""
        return softplus(self.margin - targets * scores)

    def slope(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return -y / (1 + exp(y f - margin))."""
        return -targets * torch.sigmoid(self.margin - targets * scores)

    def curvature(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return p (1 - p), p the probability of the wrong label."""
        wrong = torch.sigmoid(self.margin - targets * scores)
        return wrong * (1 - wrong)

    def best_scale(self, error: Tensor) -> Tensor:
        """Return margin + log-odds of being right, with errors below e^-12 counted as that."""
        return self.margin + torch.logit(1 - error.clamp(min=math.exp(-12)))


LOSSES: dict[str, type[Loss]] = {
    "squared": SquaredLoss,
    "squared_hinge": SquaredHingeLoss,
    "logistic": LogisticLoss,
}
