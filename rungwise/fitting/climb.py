"""The gate blocks: as long as some label is a gate of inputs and settled labels, a block settles all that are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise.fitting.gate_blocks import gate_block
from rungwise.fitting.gate_search import GateSearch, GateSettings, Rung
from rungwise.fitting.gates import Gate
from rungwise.fitting.training import Training

# Rows on which the importance of a gate's parents is measured.
_MAX_ROWS = 1000


@dataclass(frozen=True)
class FittedGate:
    """The gate that settled a label; literal l is whether stream entry ``entry[l]`` exceeds ``threshold[l]``.

    ``margin`` is the smallest one on the training rows.
    """

    gate: Gate
    entry: tuple[int, ...]
    threshold: tuple[float, ...]
    margin: float


def climb(
    training: Training, settings: GateSettings, max_depth: int, has_better: Callable[[Tensor, Tensor], Tensor]
) -> dict[int, FittedGate]:
    """Add blocks of gates to a network under training, and return the gate of every label that they settle.

    Parameters
    ----------
    training : Training
    settings : GateSettings
    max_depth : int
    has_better : callable
        Maps labels and the losses that noisy gates would leave them, two (n_some,), to whether a block of features has
        a lower honest loss.
    """
    network, stream, device = training.network, training.stream, training.targets.device
    inputs = stream.entries.unflatten(1, (stream.size, -1))[:, :, : network.n_inputs].cpu()
    search = GateSearch(
        inputs, training.targets.cpu(), training.weights.cpu(), stream.spread, settings, training.generators.gates
    )
    fitted: dict[int, FittedGate] = {}

    def scales_and_estimates(rung: Rung) -> tuple[Tensor, Tensor]:
        errors = training.targets.new_tensor([rung.gates[label].error for label in sorted(rung.gates)])
        scales = training.loss.best_scale(errors)
        values = torch.stack([rung.values[label] for label in sorted(rung.gates)], dim=1).to(device)
        return scales, torch.where(values, scales, -scales)

    def refuse(rung: Rung) -> set[int]:
        labels = torch.tensor(sorted(rung.gates), device=device)
        # Of the errors that the code of a gate allows for, none show on the examples that it was chosen by.
        error = training.targets.new_tensor(
            [search.examples.expected_error(label, rung.gates[label]) for label in labels.tolist()]
        )
        scales, ones = training.loss.best_scale(error), torch.ones_like(error)
        loss = (1 - error) * training.loss.value(scales, ones) + error * training.loss.value(scales, -ones)
        return set(labels[has_better(labels, loss)].tolist())

    while len(training.reports) < max_depth and (rung := search.next_rung(refuse)) is not None:
        _measure_importance(training, search, rung)
        scales, estimates = scales_and_estimates(rung)
        training.add(gate_block(search, rung, scales), estimates, {"gates": torch.ones_like(scales)})
        for label, gate in rung.gates.items():
            literals = list(gate.literals)
            entry, threshold = search.entry[literals].tolist(), search.threshold[literals].tolist()
            fitted[label] = FittedGate(gate, tuple(entry), tuple(threshold), search.examples.margin(label, gate))
    return fitted


def _measure_importance(training: Training, search: GateSearch, rung: Rung) -> None:
    """Record for each gate the rise of the error rate when one of its entries is shuffled among the rows."""
    n = len(training.targets)
    rows = torch.randperm(n, generator=training.generators.attribution)[:_MAX_ROWS]
    shuffled = rows.roll(1)
    for label, gate in rung.gates.items():
        own = search.examples.literals[list(gate.literals)]
        entries = search.entry[list(gate.literals)]
        values = rung.values[label][rows]
        for entry in entries.unique().tolist():
            changed = torch.where((entries == entry)[:, None], own[:, shuffled], own[:, rows])
            share = (gate(changed) != values).double().mean()
            training.importance[entry, label] = float(share) * (1 - 2 * gate.error)
