"""The activations σ of random features, as functions of a tensor of pre-activations.

What a layer of random neurons can express cheaply is decided by the Hermite coefficients of σ: with pre-activations
of unit variance, the dual kernel is k(ρ) = Σ_k a_k² ρ^k, and degree-K polynomials need a_k ≠ 0 for all k <= K.
"""

from collections.abc import Callable

import torch
from numpy.polynomial.hermite_e import hermeroots
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


class ShiftedErf:
    """A bounded activation whose Hermite coefficients a_0, …, a_degree are all positive.

    σ(t) = Φ(2t - θ), Φ the normal distribution function: a soft threshold unit that fires rarely. Since
    E σ(g + s) = Φ((2s - θ) / √5) for a standard normal g, Taylor's formula in s gives

        a_k ∝ He_{k-1}(θ / √5) for k >= 1,

    which is positive for every k <= degree as soon as θ / √5 exceeds the largest zero of He_{degree-1}
    (it interlaces with the zeros of the lower ones).

    Parameters
    ----------
    degree : int, at least 1
        Degree up to which all coefficients are positive. Larger means a higher threshold: neurons fire more rarely.
    """

    def __init__(self, degree: int = 4) -> None:
        largest_zero = hermeroots([0.0] * (degree - 1) + [1.0]).max() if degree > 1 else 0.0
        self.degree = degree
        # A fifth of a standard deviation beyond the zero keeps a_degree away from 0.
        self.threshold = float((largest_zero + 0.2) * 5**0.5)

    def __call__(self, t: Tensor) -> Tensor:
        """Return Φ(2t - θ), values in (0, 1)."""
        return torch.special.ndtr(2 * t - self.threshold)


ACTIVATIONS: dict[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "shifted_erf": ShiftedErf(),
}


def get_activation(name: str) -> Activation:
    """Return the activation called ``name``.

    Raises
    ------
    ValueError
        If no activation has that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, however: activation={name!r}")
    return ACTIVATIONS[name]
