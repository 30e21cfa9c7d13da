"""The residual stream and nothing else: `Block` and `ResidualNetwork` as plain PyTorch modules.

Block k of the network (arXiv 2601.00455, section 2) sees the stream z = (x, f̂_{k-1}(x)) and adds to the estimates:

    f̂_k(x) = f̂_{k-1}(x) + W2_k · σ(W1_k · z + b_k),    f̂_0 = 0.

Three things are ours. A block reads the estimates through a link onto [-1, 1], the domain in which the theory states
everything: a label that is learned with margin 1 is then read as exactly ±1, and its errors do not travel upwards. A
block may replace an early guess, or a share of it, instead of adding to it. And it may settle a label: the blocks above
read its sign.

With positions (the paper's ensembles) a block sees, at each position, the streams of its neighbours side by side.
"""

from collections.abc import Iterable
from typing import Any

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
    """One rung: frozen hidden units of the stream, and a linear readout W2 of them for the labels that it changes.

    Parameters
    ----------
    features : nn.Module
        Maps the stream, (n, n_entries), to hidden units, (n, n_units), or to n_changed more, which come first: opinions
        about the labels that change, which need no readout and are added as they are. Its tensors are frozen.
    weight : Tensor of shape (n_units, n_changed)
        The readout W2.
    bias : Tensor of shape (n_changed,)
        The readout of the constant unit.
    labels : Tensor of shape (n_changed,), int64, optional
        The labels that change, in ascending order; all others keep their estimates. All labels if not given.
    keep : Tensor of shape (n_changed,), optional
        Share of the estimate so far that the update is added to: 1 (the default) adds, 0 replaces.
    settle : Tensor of shape (n_changed,), bool, optional
        Whether the blocks above read the sign of the estimate, a hard ±1. By default none.
    """

    weight: Tensor
    bias: Tensor
    labels: Tensor
    keep: Tensor
    settle: Tensor

    def __init__(
        self,
        features: nn.Module,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor | None = None,
        keep: Tensor | None = None,
        settle: Tensor | None = None,
    ) -> None:
        super().__init__()
        n_changed = weight.shape[1]
        self.features = features.requires_grad_(False)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        device = weight.device
        self.register_buffer("labels", torch.arange(n_changed, device=device) if labels is None else labels)
        self.register_buffer("keep", torch.ones_like(bias) if keep is None else keep.to(bias))
        none = torch.zeros(n_changed, dtype=torch.bool, device=device)
        self.register_buffer("settle", none if settle is None else settle)

    def forward(self, stream: Tensor) -> Tensor:
        """Return the update of the changed labels' estimates, (n, n_changed), for a stream of shape (n, n_entries)."""
        hidden = self.features(stream)
        n_opinions = hidden.shape[1] - len(self.weight)
        update = hidden[:, n_opinions:] @ self.weight + self.bias
        return hidden[:, :n_opinions] + update if n_opinions else update


class Stream:
    """What blocks see, (n, w · (n_inputs + n_labels)), kept up to date as estimates change.

    Parameters
    ----------
    x : Tensor of shape (n, n_inputs), or (n, n_positions, n_inputs) with an index
    n_labels : int
    link : {"clip", "tanh"}
    index : Tensor of shape (n_positions, w), optional
        The positions seen from each position, -1 where there is none. Without it every row stands alone.
    """

    def __init__(self, x: Tensor, n_labels: int, link: str, index: Tensor | None = None) -> None:
        self.link = link
        self.n_inputs, self.n_labels = x.shape[-1], n_labels
        self.index = x.new_zeros(1, 1, dtype=torch.long) if index is None else index.to(x.device)
        self.n_positions, self.size = self.index.shape
        seen = self.spread(x.reshape(-1, self.n_inputs))
        self._entries = torch.cat([seen, seen.new_zeros(*seen.shape[:2], n_labels)], dim=2)
        self.estimates = x.new_zeros(len(seen), n_labels)
        self.settled = torch.zeros(n_labels, dtype=torch.bool, device=x.device)

    @property
    def entries(self) -> Tensor:
        """The stream, (n, w · (n_inputs + n_labels)): x and the labels as read, for each position seen in turn."""
        return self._entries.flatten(1)

    @property
    def label_entries(self) -> Tensor:
        """Which entries are readings of labels, int64 (w · n_labels,)."""
        return self.entries_of(torch.arange(self.n_labels, device=self._entries.device))

    def entries_of(self, labels: Tensor) -> Tensor:
        """Which entries are readings of some labels, (n_some,), int64 (w · n_some,)."""
        entries = torch.arange(self._entries[0].numel(), device=self._entries.device).view(self.size, -1)
        return entries[:, self.n_inputs + labels].flatten()

    def spread(self, values: Tensor) -> Tensor:
        """Return values, (n · n_positions, k), at the positions seen from each row, (n · n_positions, w, k)."""
        if self.n_positions == self.size == 1:
            return values[:, None]
        by_position, index = values.reshape(-1, self.n_positions, values.shape[1]), self.index.to(values.device)
        seen = by_position[:, index.clamp(min=0)] * (index >= 0)[..., None].to(values.dtype)
        return seen.flatten(0, 1)

    def update(self, labels: Tensor, estimates: Tensor, settle: Tensor) -> None:
        """Set the estimates of some labels, (n, n_changed), and what blocks read of them."""
        self.estimates[:, labels], self.settled[labels] = estimates, settle
        read = torch.where(settle, torch.where(estimates > 0, 1.0, -1.0).to(estimates), LINKS[self.link](estimates))
        self._entries[:, :, self.n_inputs + labels] = self.spread(read)

    def apply(self, block: Any) -> None:
        """Let a `Block` change the estimates of its labels."""
        estimates = block.keep * self.estimates[:, block.labels] + block(self.entries)
        self.update(block.labels, estimates, block.settle)


class ResidualNetwork(nn.Module):
    """Blocks on one residual stream (x, f̂).

    Parameters
    ----------
    n_inputs, n_labels : int
        Widths of x and of f̂.
    blocks : iterable of Block
    link : {"clip", "tanh"}
        How blocks read the estimates: clipped to [-1, 1], or as tanh(f̂ / 2) when they are log-odds.
    neighborhood : Neighborhood, optional
        Anything with ``index(n_positions)``, the positions seen from each. Without it, rows are no families.

    Examples
    --------
    >>> import torch
    >>> block = Block(torch.nn.Identity(), weight=torch.ones(3, 1), bias=torch.zeros(1))
    >>> network = ResidualNetwork(n_inputs=2, n_labels=1, blocks=[block, block])
    >>> network(torch.tensor([[0.25, 0.5]])).item()  # 0.75 after the first block, + 0.75 + 0.75 in the second
    2.25
    """

    def __init__(
        self,
        n_inputs: int,
        n_labels: int,
        blocks: Iterable[Block] = (),
        link: str = "clip",
        neighborhood: Any = None,
    ) -> None:
        super().__init__()
        if link not in LINKS:
            raise ValueError(f"link must be one of {sorted(LINKS)}, however: link={link!r}")
        self.n_inputs = n_inputs
        self.n_labels = n_labels
        self.link = link
        self.neighborhood = neighborhood
        self.blocks = nn.ModuleList(blocks)

    def start(self, x: Tensor) -> Stream:
        """Return the stream before the first block, for x as in `forward`."""
        expected = "(n, {})" if self.neighborhood is None else "(n, n_positions, {})"
        if x.ndim != (2 if self.neighborhood is None else 3) or x.shape[-1] != self.n_inputs:
            raise ValueError(f"x must have shape {expected.format(self.n_inputs)}, however: {tuple(x.shape)}")
        index = None if self.neighborhood is None else self.neighborhood.index(x.shape[1])
        return Stream(x, self.n_labels, self.link, index)

    def forward(self, x: Tensor, return_all: bool = False) -> Tensor:
        """Return the estimates f̂ of every label.

        Parameters
        ----------
        x : Tensor of shape (n, n_inputs), or with a neighborhood (n, n_positions, n_inputs)
        return_all : bool
            Also return the estimates after every earlier block.

        Returns
        -------
        Tensor of shape (n, n_labels), or (n, n_positions, n_labels); with ``return_all`` one for each of the
        n_blocks + 1 stages stacked along a new first dimension, beginning with f̂_0 = 0.
        """
        stream = self.start(x)
        shape = (*x.shape[:-1], self.n_labels)
        history = [stream.estimates.clone()] if return_all else []
        for block in self.blocks:
            stream.apply(block)
            if return_all:
                history.append(stream.estimates.clone())
        return torch.stack(history).view(-1, *shape) if return_all else stream.estimates.view(shape)
