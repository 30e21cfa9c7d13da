"""Affine maps of several networks side by side, whose gradients stay where they are in memory."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Affine(NamedTuple):
    """units ↦ units W + b for each of some networks; a single one does without the first dimension.

    Attributes
    ----------
    weight : Tensor of shape (n_nets, n_in, n_out)
    bias : Tensor of shape (n_nets, 1, n_out)
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, units: Tensor) -> Tensor:
        """Return what becomes of units of shape (n_nets, n, n_in), (n_nets, n, n_out)."""
        if not self.weight.is_leaf or self.weight.grad is None:
            return units @ self.weight + self.bias
        product: Tensor = _ProductInPlace.apply(units, self.weight, self.bias)
        return product

    def to_be_trained(self) -> "Affine":
        """Return a copy of which every backward pass overwrites the gradients.

        It is one of networks side by side, and is used once in a pass.
        """
        copies = [tensor.clone().requires_grad_() for tensor in self]
        for tensor in copies:
            tensor.grad = torch.zeros_like(tensor)
        return Affine(*copies)


class _ProductInPlace(torch.autograd.Function):
    """units W + b, with the gradients by W and b written to their ``grad``.

    Of a step in a small batch these are the largest tensors; memory that is new each time costs more than the products.
    """

    @staticmethod
    def forward(ctx: Any, units: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(units, weight, bias)
        return torch.baddbmm(bias, units, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None]:
        units, weight, bias = ctx.saved_tensors
        torch.bmm(units.mT, gradient, out=weight.grad)
        torch.sum(gradient, 1, keepdim=True, out=bias.grad)
        return (gradient @ weight.mT if ctx.needs_input_grad[0] else None), None, None
