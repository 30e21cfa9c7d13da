"""Proposals: what each kind of features offers the labels in a block, and how good it is on honest rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from rungwise.features import FeatureMap, HonestFeatureMap, LinearLayer, Opinions, Standing
from rungwise.features.opinions import of_own_fold
from rungwise.fitting.attribution import sampled_loss, shuffle_importance
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import Readout, fit_readout
from rungwise.fitting.training import Training


@dataclass(frozen=True)
class Proposal:
    """What one hidden layer offers some labels: their estimates by a readout of it, on top of those so far or not.

    Attributes
    ----------
    name : str
    layer : nn.Module
    weight : Tensor of shape (n_units, n_some), or None
        None if the units are the estimates themselves.
    bias : Tensor of shape (n_some,)
    penalty : Tensor of shape (n_some,)
        NaN if there was none to choose.
    kept : bool
        Whether the readout is added to the estimates so far.
    estimates : Tensor of shape (n, n_some)
        Honest ones.
    loss : Tensor of shape (n_some,)
        Their loss.
    honest_at : callable
        Maps other entries of some training rows, (n_some_rows, n_entries), and which rows they are, to what is added
        there to the estimates so far, if they are kept, by the parts that did not see the row's labels. At the rows'
        own entries these are ``estimates``, unless labels have chosen the units of a readout: then its units are those
        that are kept, which all labels have chosen.
    importance : callable
        Maps indices of some of the labels to the importance of the stream entries for them, (n_entries, n_members).
    shuffles : bool
        Whether importance is found by shuffling one entry after another, which is slow.
    """

    name: str
    layer: nn.Module
    weight: Tensor | None
    bias: Tensor
    penalty: Tensor
    kept: bool
    estimates: Tensor
    loss: Tensor
    honest_at: Callable[[Tensor, Tensor], Tensor]
    importance: Callable[[Tensor], Tensor]
    shuffles: bool


def make_proposals(
    training: Training,
    labels: Tensor,
    features: Sequence[FeatureMap | HonestFeatureMap],
    solver: str,
    penalties: Sequence[float],
) -> list[Proposal]:
    """Return what the features offer some labels; those that stand aside on this data offer nothing."""
    stream, before = training.stream, training.stream.estimates[:, labels]
    entries = stream.entries
    objective = Objective(
        training.loss, entries[:, :0], training.targets[:, labels], training.weights[:, labels], before
    )
    proposals: list[Proposal] = []
    for feature_map in features:
        generator = training.generators.layers
        if hasattr(feature_map, "fit_honest"):
            standing = _standing(training, labels)
            opinions = feature_map.fit_honest(entries, generator, objective, training.grouping, standing)
            if opinions is not None:
                proposals.append(_of_opinions(training, labels, feature_map.name, opinions))
        elif (layer := feature_map.fit(entries, generator, objective, stream.label_entries)) is not None:
            proposals += _of_readouts(training, labels, feature_map, layer, objective, solver, penalties)
    return proposals


def _standing(training: Training, labels: Tensor) -> Standing:
    """Return what some labels may be built upon."""
    training.find_rung()
    rung, n_entries = training.rung, training.stream.entries.shape[1]
    doubted, older = rung == 0, (rung > 0) & (rung < rung.max())

    def without(hidden: Tensor) -> Tensor:
        read = torch.ones(n_entries, dtype=torch.bool, device=rung.device)
        return read.index_fill(0, training.stream.entries_of(hidden.nonzero()[:, 0]), False)

    readings = [without(doubted | older), without(doubted)] if older.any() else [without(doubted)]
    risen = int(rung.max()) == len(training.reports)
    return Standing(doubted[labels], readings, risen)


def _of_opinions(training: Training, labels: Tensor, name: str, opinions: Opinions) -> Proposal:
    """Units that are estimates of the labels need no readout."""
    loss, _ = training.loss_and_error(opinions.honest, labels)
    return Proposal(
        name,
        opinions.layer,
        None,
        torch.zeros_like(loss),
        torch.full_like(loss, float("nan")),
        False,
        opinions.honest,
        loss,
        opinions.honest_at,
        opinions.importance,
        False,
    )


def _of_readouts(
    training: Training,
    labels: Tensor,
    feature_map: FeatureMap,
    layer: nn.Module,
    objective: Objective,
    solver: str,
    penalties: Sequence[float],
) -> list[Proposal]:
    """Fit the readout of a layer on top of the estimates so far, and from zero where the features ask for it."""
    entries, before = training.stream.entries, objective.offset
    offsets = [before, torch.zeros_like(before)] if feature_map.replaces and before.any() else [before]
    # All starts in one problem: they share the hidden units, and so everything that is costly about them.
    repeated = replace(
        objective,
        hidden=layer(entries),
        targets=objective.targets.repeat(1, len(offsets)),
        weights=objective.weights.repeat(1, len(offsets)),
        offset=torch.cat(offsets, dim=1),
    )
    fold_units = _fold_units(training, feature_map, objective) if feature_map.reads_labels else None
    if feature_map.reads_labels and fold_units is None:
        return []
    folds, generator = training.grouping.folds, training.generators.solver
    readouts = fit_readout(repeated, folds, penalties, solver, generator, fold_units)
    proposals = []
    for start, offset in enumerate(offsets):
        readout = readouts.select(slice(start * len(labels), (start + 1) * len(labels)))
        estimates = offset + readout.honest_update
        loss, _ = training.loss_and_error(estimates, labels)
        importance = partial(_importance, training, layer, readout, replace(objective, offset=offset))
        proposals.append(
            Proposal(
                feature_map.name,
                layer,
                readout.weight,
                readout.bias,
                readout.penalty,
                offset is before,
                estimates,
                loss,
                partial(_honest_at, training, layer, readout),
                importance,
                not isinstance(layer, LinearLayer),
            )
        )
    return proposals


def _honest_at(training: Training, layer: nn.Module, readout: Readout, entries: Tensor, rows: Tensor) -> Tensor:
    """Return the updates of a readout for some training rows at other entries; see `Proposal`."""
    parts = zip(readout.fold_weight, readout.fold_bias, strict=True)
    readouts = [partial(torch.addmm, bias, mat2=weight) for weight, bias in parts]
    return of_own_fold(readouts, training.grouping.fold[rows], layer(entries))


def _fold_units(training: Training, feature_map: FeatureMap, objective: Objective) -> list[Tensor] | None:
    """Return for each fold units of a layer that did not see its labels; None if the features stand aside."""
    grouping, stream = training.grouping, training.stream
    half_of = grouping.halves()
    half_of_row = torch.tensor(half_of, device=stream.entries.device)[grouping.fold]
    units = []
    for half in (0, 1):
        others = half_of_row != half
        part = objective.select(others)
        layer = feature_map.fit(stream.entries[others], training.generators.layers, part, stream.label_entries)
        if layer is None:
            return None
        units.append(layer(stream.entries))
    return [units[half] for half in half_of]


def _importance(
    training: Training, layer: nn.Module, readout: Readout, objective: Objective, members: Tensor
) -> Tensor:
    """Return the importance of the stream entries for some of the labels of a readout."""
    if isinstance(layer, LinearLayer):
        return layer.importance(training.stream.entries, readout.weight[:, members])
    judge = sampled_loss(
        training.loss.value, objective.offset[:, members], objective.targets[:, members], objective.weights[:, members]
    )
    entries, generator = training.stream.entries, training.generators.attribution
    return shuffle_importance(layer, entries, readout, members, judge, training.grouping.folds, generator)
