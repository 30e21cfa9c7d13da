"""From gates to a block of the network: their Fourier expansions and thresholds as sparse units and a readout."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rungwise.features.sparse import SparseLayer
from rungwise.fitting.gate_search import GateSearch, Rung
from rungwise.fitting.gates import Gate
from rungwise.network import Block
from rungwise.theory.boolean import fourier_expansion


def gate_block(search: GateSearch, rung: Rung, scales: Tensor) -> Block:
    """Return the block whose estimates of the labels of a rung are the gates' values ±1 times a scale each.

    A truth table becomes its Fourier expansion over the products of its literals, a (K, 1)-PTF with values exactly ±1
    (its coefficients are multiples of a power of two); a threshold is one unit.

    Parameters
    ----------
    search : GateSearch
    rung : Rung
    scales : Tensor of shape (n_gates,)
        In ascending order of the labels. Its dtype and device are the block's.
    """
    labels = sorted(rung.gates)
    used = sorted({literal for gate in rung.gates.values() for literal in gate.literals})
    place = {literal: position for position, literal in enumerate(used)}
    products: dict[tuple[int, ...], int] = {}
    terms: list[tuple[tuple[int, ...], int, float]] = []
    bias = torch.zeros(len(labels))
    wide: list[tuple[int, Gate]] = []
    for column, label in enumerate(labels):
        gate = rung.gates[label]
        if gate.table is None:
            wide.append((column, gate))
            continue
        for members, coefficient in _fourier(tuple(gate.table.tolist())):
            if members:
                product = tuple(place[gate.literals[member]] for member in members)
                products.setdefault(product, len(products))
                terms.append((product, column, coefficient))
            else:
                bias[column] = coefficient
    factors = torch.full((len(products), max(map(len, products), default=1)), len(used), dtype=torch.long)
    for product, unit in products.items():
        factors[unit, : len(product)] = torch.tensor(product)
    weight = torch.zeros(len(products) + len(wide), len(labels))
    for product, column, coefficient in terms:
        weight[products[product], column] = coefficient
    wide_weight, wide_bias = torch.zeros(len(used), len(wide)), torch.zeros(len(wide))
    for unit, (column, gate) in enumerate(wide):
        wide_weight[[place[literal] for literal in gate.literals], unit] = torch.tensor(gate.weights)
        wide_bias[unit] = gate.constant
        weight[len(products) + unit, column] = 1.0
    layer = SparseLayer(
        torch.empty(0, dtype=torch.long), search.entry[used], search.threshold[used], factors, wide_weight, wide_bias
    )
    everywhere = torch.ones(len(labels), dtype=torch.bool, device=scales.device)
    return Block(
        layer.to(scales),
        weight.to(scales) * scales,
        bias.to(scales) * scales,
        torch.tensor(labels, device=scales.device),
        keep=torch.zeros_like(scales),
        settle=everywhere,
    )


@lru_cache(maxsize=4096)
def _fourier(table: Sequence[bool]) -> list[tuple[tuple[int, ...], float]]:
    """Return (members, coefficient) of every term of a truth table."""
    polynomial = fourier_expansion(np.where(table, 1, -1))
    return [
        (tuple(np.flatnonzero(exponents).tolist()), float(coefficient))
        for exponents, coefficient in zip(polynomial.exponents, polynomial.coefficients, strict=True)
    ]
