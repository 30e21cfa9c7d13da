"""Blocks of gates: their estimates are the gates' values times a scale, exactly, on any stream."""

import numpy as np
import pytest
import torch

from rungwise.fitting.gate_blocks import gate_block
from rungwise.fitting.gate_search import GateSearch, GateSettings, Rung
from rungwise.fitting.gates import Gate
from rungwise.network import ResidualNetwork

N_INPUTS, N_LABELS = 6, 5


def make_search(dtype):
    """Return a search whose literals are cuts of six inputs of four values each."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(4, (200, 1, N_INPUTS), generator=generator).to(dtype)
    targets = torch.ones(200, N_LABELS, dtype=dtype)
    return GateSearch(inputs, targets, torch.ones_like(targets), lambda v: v[:, None], GateSettings(), generator)


def random_rung(search, seed):
    rng = np.random.default_rng(seed)
    gates = {}
    for label in rng.permutation(N_LABELS)[: rng.integers(1, N_LABELS + 1)].tolist():
        k = int(rng.integers(1, 5))
        literals = tuple(rng.permutation(len(search.entry))[:k].tolist())
        if rng.random() < 0.6:
            table = torch.as_tensor(rng.random(2**k) < 0.5)
            gates[label] = Gate(literals, 0.0, 0.0, table=table)
        else:
            weights = rng.choice([-2.0, -1.0, 1.0, 3.0], size=k)
            constant = float(1 + weights.sum() % 2)  # an odd total: its size is 1 at least
            gates[label] = Gate(literals, 0.0, 0.0, weights=tuple(weights.tolist()), constant=constant)
    return Rung(gates, {})


def values_of(search, rung, stream):
    """Return ±1, (n, n_gates), in order of the labels, gate by gate."""
    columns = []
    for label in sorted(rung.gates):
        literals = list(rung.gates[label].literals)
        own = stream[:, search.entry[literals]] > search.threshold[literals]
        columns.append(torch.where(rung.gates[label](own.T), 1.0, -1.0))
    return torch.stack(columns, dim=1).to(stream)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(15))
def test_block_gives_exactly_the_values_of_its_gates(seed, dtype):
    search = make_search(dtype)
    rung = random_rung(search, seed)
    scales = torch.ones(len(rung.gates), dtype=dtype)
    block = gate_block(search, rung, scales)
    generator = torch.Generator().manual_seed(seed)
    stream = 2 * torch.randn(500, N_INPUTS + N_LABELS, generator=generator, dtype=dtype)
    update = block(stream)
    assert update.dtype == dtype
    assert torch.equal(update, values_of(search, rung, stream))
    assert torch.equal(block.labels, torch.tensor(sorted(rung.gates)))
    assert block.settle.all()
    assert not block.keep.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_label_has_its_scale(dtype):
    search = make_search(dtype)
    rung = random_rung(search, 4)
    scales = torch.linspace(0.3, 4, len(rung.gates), dtype=dtype)
    stream = torch.randn(300, N_INPUTS + N_LABELS, dtype=dtype)
    found, expected = gate_block(search, rung, scales)(stream), values_of(search, rung, stream) * scales
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_block_replaces_what_a_network_estimated_before_and_settles_it():
    search = make_search(torch.float64)
    rung = random_rung(search, 2)
    labels = sorted(rung.gates)
    network = ResidualNetwork(N_INPUTS, N_LABELS)
    stream = network.start(torch.randn(50, N_INPUTS, dtype=torch.float64))
    everything = torch.arange(N_LABELS)
    stream.update(everything, torch.full((50, N_LABELS), 0.3).double(), torch.zeros(N_LABELS, dtype=torch.bool))
    entries = stream.entries.clone()
    stream.apply(gate_block(search, rung, torch.full((len(labels),), 0.5, dtype=torch.float64)))
    expected = values_of(search, rung, entries)
    assert torch.equal(stream.estimates[:, labels], 0.5 * expected)
    assert torch.equal(stream.entries[:, [N_INPUTS + label for label in labels]], expected)


def test_gates_that_share_products_share_units():
    search = make_search(torch.float64)
    parity = torch.tensor([False, True, True, False])
    rung = Rung({0: Gate((0, 1), 0.0, 0.0, table=parity), 3: Gate((0, 1), 0.0, 0.0, table=~parity)}, {})
    block = gate_block(search, rung, torch.ones(2).double())
    assert block.weight.shape == (1, 2)
    assert block.weight.tolist() == [[-1.0, 1.0]]
