"""The residual stream and nothing else: `Block` and `ResidualNetwork` as plain PyTorch modules.

Block k of the network (arXiv 2601.00455, section 2) sees the stream z = (x, f̂_{k-1}(x)) and adds to the estimates:

    f̂_k(x) = f̂_{k-1}(x) + W2_k · σ(W1_k · z + b_k),    f̂_0 = 0.

One thing is ours: a block reads the estimates through a link onto [-1, 1], the domain in which the theory states
everything. A label that is learned with margin 1 is then read as exactly ±1, and its errors do not travel upwards.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip(estimates: Tensor) -> Tensor:
    """Return the estimates clipped to [-1, 1]: the expected label under the squared losses."""
    return estimates.clamp(-1.0, 1.0)


def tanh_half(estimates: Tensor) -> Tensor:
    """Return tanh(f / 2): the expected label when the estimates are log-odds, as under the logistic loss."""
    return torch.tanh(estimates / 2)


LINKS = {"clip": clip, "tanh": tanh_half}


class Block(nn.Module):
    """One rung: frozen hidden units of the stream, and a linear readout W2 of them that is added to the estimates.

    Parameters
    ----------
    features : nn.Module
        Maps the stream, (n, n_inputs + n_labels), to hidden units, (n, n_units). Its tensors are frozen.
    weight : Tensor of shape (n_units, n_labels)
        The readout W2. A label that takes no update from this block has a column of zeros.
    bias : Tensor of shape (n_labels,)
        The readout of the constant unit.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, features: nn.Module, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.features = features.requires_grad_(False)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the update of the estimates, (n, n_labels), for a stream of shape (n, n_inputs + n_labels)."""
        return self.features(stream) @ self.weight + self.bias


class ResidualNetwork(nn.Module):
    """Blocks on one residual stream (x, f̂).

    Parameters
    ----------
    n_inputs, n_labels : int
        Widths of x and of f̂.
    blocks : iterable of Block
    link : {"clip", "tanh"}
        How blocks read the estimates: clipped to [-1, 1], or as tanh(f̂ / 2) when they are log-odds.

    Examples
    --------
    >>> import torch
    >>> block = Block(torch.nn.Identity(), weight=torch.ones(3, 1), bias=torch.zeros(1))
    >>> network = ResidualNetwork(n_inputs=2, n_labels=1, blocks=[block, block])
    >>> network(torch.tensor([[0.25, 0.5]])).item()  # 0.75 after the first block, + 0.75 + 0.75 in the second
    2.25
    """

    def __init__(self, n_inputs: int, n_labels: int, blocks: Iterable[Block] = (), link: str = "clip") -> None:
        super().__init__()
        if link not in LINKS:
            raise ValueError(f"link must be one of {sorted(LINKS)}, however: link={link!r}")
        self.n_inputs = n_inputs
        self.n_labels = n_labels
        self.link = link
        self.blocks = nn.ModuleList(blocks)

    def stream(self, x: Tensor, estimates: Tensor) -> Tensor:
        """Return what the next block sees: x beside the estimates read onto [-1, 1], (n, n_inputs + n_labels)."""
        return torch.cat([x, LINKS[self.link](estimates)], dim=1)

    def forward(self, x: Tensor, return_all: bool = False) -> Tensor:
        """Return the estimates f̂ of every label.

        Parameters
        ----------
        x : Tensor of shape (n, n_inputs)
        return_all : bool
            Also return the estimates after every earlier block.

        Returns
        -------
        Tensor of shape (n, n_labels), or with ``return_all`` (n_blocks + 1, n, n_labels), beginning with f̂_0 = 0.
        """
        if x.ndim != 2 or x.shape[1] != self.n_inputs:
            raise ValueError(f"x must have shape (n, {self.n_inputs}), however: {tuple(x.shape)}")
        estimates = x.new_zeros(len(x), self.n_labels)
        history = [estimates]
        for block in self.blocks:
            estimates = estimates + block(self.stream(x, estimates))
            if return_all:
                history.append(estimates)
        return torch.stack(history) if return_all else estimates
