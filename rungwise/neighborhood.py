"""Which positions a block sees from each position: the maps e_1 … e_w of the paper (arXiv 2601.00455, "ensembles").

The same block is applied at every position g, to the streams of the positions e_1(g), …, e_w(g) side by side: on a line
or a grid it is a convolution. Maps are made for the number of positions at hand, so that what was learned on one ring
runs on a longer one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Neighborhood:
    """The positions seen from each position; made by `ring`, `line`, `grid` or `from_index`.

    Attributes
    ----------
    kind : {"ring", "line", "grid", "map"}
    offsets : tuple of tuple of int
        What is seen, as steps from the position: (step,), or (row step, column step) on a grid. Empty for a map.
    width : int
        Columns of a grid; 0 for the other kinds.
    index_map : tuple of tuple of int
        Only for a map: the positions seen from each position, -1 for none.

    Examples
    --------
    >>> Neighborhood.ring().index(4).tolist()
    [[3, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 0]]
    >>> Neighborhood.line(offsets=(-1, 0)).index(3).tolist()
    [[-1, 0], [0, 1], [1, 2]]
    """

    kind: str
    offsets: tuple[tuple[int, ...], ...] = ()
    width: int = 0
    index_map: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def ring(cls, offsets: Sequence[int] = (-1, 0, 1)) -> "Neighborhood":
        """Return the positions so many steps along a ring, of whatever length."""
        return cls("ring", _steps(offsets))

    @classmethod
    def line(cls, offsets: Sequence[int] = (-1, 0, 1)) -> "Neighborhood":
        """Return the positions so many steps along a line; beyond its ends there are none, and blocks see zeros."""
        return cls("line", _steps(offsets))

    @classmethod
    def grid(cls, width: int, radius: int = 1) -> "Neighborhood":
        """Return the (2 radius + 1)² positions around each, on a grid of ``width`` columns and any number of rows.

        Positions are numbered row by row; beyond the edges there are none, and blocks see zeros.

        Raises
        ------
        ValueError
            If the width is less than 1 or the radius negative.
        """
        if width < 1 or radius < 0:
            raise ValueError(f"a grid must have width >= 1 and radius >= 0, however: width={width}, radius={radius}")
        steps = range(-radius, radius + 1)
        return cls("grid", tuple((down, right) for down in steps for right in steps), width)

    @classmethod
    def from_index(cls, index: Any) -> "Neighborhood":
        """Return the neighborhood given by a table: row g holds the positions seen from g, -1 for none.

        Parameters
        ----------
        index : array of int, shape (n_positions, w)

        Raises
        ------
        ValueError
            If an entry is not a position or -1.
        """
        table = torch.as_tensor(index)
        if table.ndim != 2 or table.shape[1] == 0 or table.is_floating_point() or table.is_complex():
            raise ValueError(f"index must be integers of shape (n_positions, w), however: shape {tuple(table.shape)}")
        outside = table[(table < -1) | (table >= len(table))]
        if len(outside):
            raise ValueError(f"index must hold positions 0 … {len(table) - 1} or -1, however: {int(outside[0])}")
        return cls("map", index_map=tuple(tuple(row) for row in table.tolist()))

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Neighborhood":
        """Return the neighborhood of which ``dataclasses.asdict`` gave the state, lists for tuples."""
        pairs = {name: tuple(tuple(row) for row in state[name]) for name in ("offsets", "index_map")}
        return cls(state["kind"], width=state["width"], **pairs)

    @property
    def size(self) -> int:
        """The number of positions seen from each, w."""
        return len(self.index_map[0]) if self.kind == "map" else len(self.offsets)

    @property
    def names(self) -> list[str]:
        """What to call each of the positions seen, such as "[-1]"; the position itself has no name."""
        if self.kind == "map":
            return [f"[{k}]" for k in range(self.size)]
        texts = [",".join(f"{step:+d}" if step else "0" for step in offset) for offset in self.offsets]
        return ["" if not any(offset) else f"[{text}]" for offset, text in zip(self.offsets, texts, strict=True)]

    def index(self, n_positions: int) -> Tensor:
        """Return the positions seen from each position, int64 (n_positions, w), -1 where there is none.

        Raises
        ------
        ValueError
            If there cannot be so many positions.
        """
        if self.kind == "map":
            if n_positions != len(self.index_map):
                raise ValueError(f"X must have {len(self.index_map)} positions, as the map, however: {n_positions}")
            return torch.tensor(self.index_map)
        position = torch.arange(n_positions)[:, None]
        steps = torch.tensor(self.offsets)  # (w, 1), or (w, 2) on a grid
        if self.kind == "ring":
            return (position + steps[:, 0]) % n_positions
        if self.kind == "line":
            seen = position + steps[:, 0]
            return torch.where((seen >= 0) & (seen < n_positions), seen, -1)
        if n_positions % self.width:
            raise ValueError(f"X must have whole rows of {self.width} positions, however: {n_positions} positions")
        row, column = position // self.width + steps[:, 0], position % self.width + steps[:, 1]
        inside = (row >= 0) & (row < n_positions // self.width) & (column >= 0) & (column < self.width)
        return torch.where(inside, row * self.width + column, -1)


def _steps(offsets: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    if len(offsets) == 0 or len(set(offsets)) < len(offsets):
        raise ValueError(f"offsets must be different steps, at least one, however: offsets={tuple(offsets)}")
    return tuple((int(step),) for step in offsets)
