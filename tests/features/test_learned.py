from contextlib import contextmanager
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

import rungwise
from rungwise import RungwiseClassifier
from rungwise.features import (
    FEATURE_MAPS,
    LAYERS,
    LearnedFeatures,
    LearnedLayer,
    LinearFeatures,
    LinearLayer,
    Standing,
    fold_networks,
    learned_layer,
)
from rungwise.features.affine import Affine
from rungwise.features.fold_networks import Examples, FoldNetworks, Trained, share_out
from rungwise.features.learned_layer import Networks, Weights
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.teacher import CircuitTeacher


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def problem(n=90, n_entries=4, n_labels=2):
    stream = torch.randn(n, n_entries, generator=seeded(0), dtype=torch.float64)
    noise = torch.randn(n, n_labels, generator=seeded(1), dtype=torch.float64)
    return stream, torch.where(stream[:, :n_labels] + 0.3 * noise > 0, 1.0, -1.0).double()


def apart(n, n_folds=3):
    ends = [n * which // n_folds for which in range(n_folds + 1)]
    return Grouping.apart([slice(ends[which], ends[which + 1]) for which in range(n_folds)])


def train(
    features,
    stream,
    signs,
    grouping=None,
    weights=None,
    loss=None,
    seed=7,
    estimates=None,
    doubted=None,
    readings=None,
    risen=True,
):
    doubted = torch.ones(signs.shape[1], dtype=torch.bool) if doubted is None else doubted
    readings = [torch.ones(stream.shape[1], dtype=torch.bool)] if readings is None else readings
    weights = torch.ones_like(signs) if weights is None else weights
    estimates = torch.zeros_like(signs) if estimates is None else estimates
    objective = Objective(loss or SquaredLoss(), stream[:, :0], signs, weights, estimates)
    standing = Standing(doubted, readings, risen)
    return features.fit_honest(stream, seeded(seed), objective, grouping or apart(len(stream)), standing)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(fold_networks, "_MAX_EPOCHS", 1)


def outputs(layer, stream, which):
    """Return the probabilities of the networks of one fold."""
    probability = layer.frequency.expand(len(stream), -1).clone()
    for group in layer.groups:
        (weight1, bias1), *inner, (weight2, bias2) = group.weights.net(which).maps
        units = (stream @ weight1 + bias1).clamp(min=0)
        for weight, bias in inner:
            centred = units - units.mean(1, keepdim=True)
            scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
            units = units + (scaled @ weight + bias).clamp(min=0)
        probability[:, group.labels] = 1 / (1 + torch.exp(-(units @ weight2 + bias2)))
    return probability


def test_honest_opinions_are_those_of_the_network_without_the_fold():
    stream, signs = problem()
    grouping = apart(90)
    opinions = train(LearnedFeatures(16), stream, signs, grouping)
    layer = opinions.layer
    assert sorted(torch.cat([group.labels for group in layer.groups]).tolist()) == [0, 1]
    for row, fold in enumerate(grouping.fold.tolist()):
        expected = 2 * outputs(layer, stream[row : row + 1], fold)[0] - 1
        assert opinions.honest[row].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("loss", [SquaredLoss(), LogisticLoss()])
def test_layer_is_the_mean_of_the_networks(loss):
    stream, signs = problem()
    layer = train(LearnedFeatures(8), stream, signs, loss=loss).layer
    others = torch.randn(10, 4, generator=seeded(3), dtype=torch.float64)
    mean = torch.stack([outputs(layer, others, which) for which in range(3)]).mean(0)
    expected = 2 * mean - 1 if loss.link == "clip" else torch.logit(mean.clamp(1e-3, 1 - 1e-3))
    assert torch.allclose(layer(others), expected, atol=1e-9)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_labels_of_a_fold_do_not_move_its_opinions(fold, short, monkeypatch):
    # Whether a trial shows something, and which of two networks is better, is told by all folds.
    monkeypatch.setattr(fold_networks, "_LEAST_PROGRESS", -1.0)
    features = LearnedFeatures(8, n_layers=1)
    stream, signs = problem()
    rows = apart(90).folds[fold]
    # What is believed of a label before the first block is its mean in all rows: flips that keep it.
    flipped = signs.clone()
    flipped[rows] = signs[rows].flip(0)
    before, after = (train(features, stream, labels) for labels in (signs, flipped))
    others = [row for row in range(90) if not rows.start <= row < rows.stop]
    assert torch.allclose(after.honest[rows], before.honest[rows], atol=1e-6)
    assert (after.honest[others] - before.honest[others]).abs().amax() > 1e-3


@pytest.mark.parametrize("n_layers", [1, 4])
def test_networks_have_not_seen_the_labels_of_their_fold(n_layers, short, monkeypatch):
    # Whether a trial shows something, and which epoch is the best, is told by all folds.
    monkeypatch.setattr(fold_networks, "_LEAST_PROGRESS", -1.0)
    monkeypatch.setattr(fold_networks, "_TRIAL_EPOCHS", 1)
    stream, signs = problem()
    grouping, everything = apart(90), torch.ones(4, dtype=torch.bool)
    flipped = signs.clone()
    flipped[:30] *= -1
    before, after = (
        FoldNetworks(
            Examples(stream.float(), (1 + labels.float()) / 2, torch.ones(90), grouping.fold),
            everything,
            8,
            n_layers,
            0.5,
            seeded(7),
        ).train(torch.ones(2, dtype=torch.bool))
        for labels in (signs, flipped)
    )
    assert torch.allclose(after.honest[:30], before.honest[:30], atol=1e-6)
    assert (after.honest[30:] - before.honest[30:]).abs().amax() > 1e-3


def test_labels_that_show_nothing_keep_their_frequency():
    stream, signs = problem()
    coins = torch.where(torch.rand(90, 1, generator=seeded(5), dtype=torch.float64) < 0.3, 1.0, -1.0).double()
    opinions = train(LearnedFeatures(8), stream, torch.cat([coins, signs[:, :1]], dim=1))
    others = torch.randn(20, 4, generator=seeded(3), dtype=torch.float64)
    said = opinions.layer(others)
    assert torch.allclose(said[:, 0], coins.mean().expand(20), atol=0.01)
    assert said[:, 1].std() > 0.1
    for rows in apart(90).folds:  # that of the rows of the other folds
        rest = torch.cat([coins[: rows.start], coins[rows.stop :]])
        assert torch.allclose(opinions.honest[rows, 0], rest.mean().expand(30), atol=1e-5)


def begin_and_descend(networks, n_labels, n_epochs):
    labels = torch.arange(n_labels)
    return networks._descend(labels, networks._start(labels), n_epochs)


def rungs():
    """Return bits and a certain label, (600, 5), and labels: a majority of two bits and that label, a noisy bit."""
    bits = torch.where(torch.rand(600, 5, generator=seeded(0)) < 0.5, 1.0, -1.0).double()
    noise = torch.where(torch.rand(600, generator=seeded(1)) < 0.15, -1.0, 1.0)
    return bits, torch.stack([bits[:, [0, 1, 4]].sum(1).sign(), bits[:, 2] * noise], dim=1)


@pytest.fixture
def descents(monkeypatch):
    """Return a list that will hold how many labels were trained each time, and for how many epochs at most."""
    found = []
    descend = FoldNetworks._descend

    def counting(training, labels, start, n_epochs):
        found.append((len(labels), n_epochs))
        return descend(training, labels, start, n_epochs)

    monkeypatch.setattr(FoldNetworks, "_descend", counting)
    return found


def test_nothing_else_is_trained_once_there_is_a_rung(descents):
    entries, signs = rungs()
    opinions = train(LearnedFeatures(32, dropout=0.0), entries, signs, apart(600))
    layer, honest = opinions.layer, opinions.honest
    assert descents == [(2, 5), (2, 60)]
    assert [group.shape for group in layer.groups] == [(3, 5, 32, 4, 2)]
    wrong = ((layer(entries) > 0) != (signs > 0)).double().mean(0)
    assert wrong.tolist() == pytest.approx([0, 0.15], abs=0.03)
    for which, rows in enumerate(apart(600).folds):
        assert torch.allclose(honest[rows], 2 * outputs(layer, entries[rows], which) - 1, atol=1e-5)


def test_what_is_nearly_certain_is_no_new_rung(descents):
    entries, signs = rungs()
    features, known = LearnedFeatures(32, dropout=0.0), 0.6 * signs
    train(features, entries, signs, apart(600), estimates=known, doubted=torch.tensor([True, True]))
    assert descents == [(2, 5), (2, 60)]
    for doubted, n_trained in ([False, True], 1), ([False, False], 2):
        descents.clear()
        train(features, entries, signs, apart(600), estimates=known, doubted=torch.tensor(doubted))
        assert descents == [(n_trained, 5), (n_trained, 60)] * 2


def test_copies_that_disagree_are_no_rung(descents):
    entries, signs = rungs()
    index = torch.arange(600).repeat_interleave(1 + torch.arange(600) % 2)  # every other row is there twice
    second = torch.cat([torch.tensor([False]), index[1:] == index[:-1]])
    signs = signs[index][:, :1].clone()
    signs[second.nonzero()[:200, 0]] *= -1
    folds = [slice(0, 300), slice(300, 600), slice(600, 900)]
    train(LearnedFeatures(32, dropout=0.0), entries[index], signs, Grouping(folds, index, index))
    assert descents == [(1, 5), (1, 60)] * 2  # of several layers and of one


def test_a_rung_is_worth_something_of_what_all_labels_have_left():
    x = torch.randn(60, 3, generator=seeded(0))
    positives = (x[:, :1] > 0).float()
    fold = torch.arange(60) % 3
    networks = FoldNetworks(Examples(x, positives, torch.ones(60), fold), torch.ones(3).bool(), 8, 2, 0.0, seeded(1))
    exact = replace(networks.train(torch.tensor([True])), honest=positives, loss=torch.zeros(1))
    assert networks.is_rung(exact, torch.full((49,), 0.25))
    assert not networks.is_rung(exact, torch.full((51,), 0.25))
    assert not networks.is_rung(replace(exact, honest=1 - positives), torch.full((2,), 0.25))


@pytest.mark.parametrize("needed", ["the last rung", "an earlier rung"])
def test_earlier_rungs_are_read_only_if_no_rung_follows_without_them(needed, descents):
    (x, certain), signs = rungs()[0].split([4, 1], dim=1), rungs()[1][:, :1]
    other = torch.where(torch.rand(600, 1, generator=seeded(3)) < 0.5, 1.0, -1.0).double()
    first, last = (other, certain) if needed == "the last rung" else (certain, other)
    entries = torch.cat([x, first, last, 0.1 * signs], dim=1)
    readings = [torch.tensor(mask) for mask in ([True] * 4 + [False, True, False], [True] * 6 + [False])]
    opinions = train(LearnedFeatures(32, dropout=0.0), entries, signs, apart(600), readings=readings)
    assert descents == [(1, 5), (1, 60)] * (1 if needed == "the last rung" else 2)
    importance = opinions.importance(torch.tensor([0]))[:, 0]
    assert importance[6] == 0  # its own estimates, in doubt
    assert (importance[4] == 0) == (needed == "the last rung")
    assert importance[4:].argmax() == (1 if needed == "the last rung" else 0)


def test_labels_annotated_in_part_read_all_from_the_start():
    entries = torch.randn(400, 4, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(entries[:, :2] > 0, 1.0, -1.0).double()
    weights = torch.ones_like(signs)
    weights[torch.rand(400, generator=seeded(1)) > 0.3, 1] = 0
    readings = [torch.tensor([True, False, True, True])]
    opinions = train(LearnedFeatures(64), entries, signs, apart(400), weights, readings=readings)
    said = opinions.layer(entries)
    assert ((said[:, 1] > said[:, 1].mean()) != (signs[:, 1] > 0)).double().mean() < 0.2
    assert opinions.importance(torch.tensor([1]))[:, 0].argmax() == 1


@pytest.mark.parametrize("follows", [True, False])
def test_what_is_in_doubt_is_read_only_if_no_rung_follows_without_it(follows, descents):
    stream = torch.randn(800, 4, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream[:, :1] > 0, 1.0, -1.0).double()
    wrong = torch.rand(800, 1, generator=seeded(1)) < 0.3
    estimates = torch.where(wrong, -0.4, 0.4) * signs
    rest = stream if follows else stream[:, 1:]
    entries = torch.cat([rest, estimates], dim=1)
    clear = torch.ones(entries.shape[1], dtype=torch.bool)
    clear[-1] = False
    features = LearnedFeatures(32, dropout=0.0)
    opinions = train(features, entries, signs, apart(800), estimates=estimates, readings=[clear])
    assert (descents == [(1, 5), (1, 60)]) == follows
    importance = opinions.importance(torch.tensor([0]))[:, 0]
    assert (importance[-1] == 0) == follows
    assert importance.argmax() == (0 if follows else len(importance) - 1)


@pytest.mark.parametrize("risen", [True, False])
def test_labels_without_a_rung_are_trained_without_what_is_in_doubt_if_there_is_news(risen, descents):
    x, older = rungs()[0].split([4, 1], dim=1)
    flips = torch.where(torch.rand(600, generator=seeded(1)) < 0.2, -1.0, 1.0)
    signs = (flips * torch.cat([x[:, :2], older], dim=1).sum(1).sign())[:, None]
    doubted = torch.where(torch.rand(600, 80, generator=seeded(2)) < 0.5, 0.5, -0.5)
    readings = [torch.tensor([True] * 4 + [certain] + [False] * 80) for certain in (False, True)]
    features = LearnedFeatures(8, dropout=0.0)
    opinions = train(features, torch.cat([x, older, doubted], dim=1), signs, apart(600), readings=readings, risen=risen)
    importance = opinions.importance(torch.tensor([0]))[:, 0]
    assert importance[4] > 0
    assert (importance[5:] > 0).all() != risen
    # Of several layers with all readings, and of one.
    assert len([epochs for _, epochs in descents if epochs == 60]) == (4 if risen else 2)


def test_every_label_is_left_to_the_networks_that_know_it_best():
    def trained(labels, losses):
        weights = Weights((Affine(torch.zeros(1, 1, len(labels)), torch.zeros(1, 1, len(labels))),))
        return Trained(torch.tensor(labels), weights, torch.tensor([losses]), torch.tensor(losses))

    groups = [trained([0, 2, 3], [0.1, 0.4, 0.2]), trained([2, 3, 4], [0.3, 0.3, 0.5]), trained([2], [0.6])]
    shared = share_out(groups, 6)
    assert [group.labels.tolist() for group in shared] == [[0, 3], [2, 4]]
    for group, losses in zip(shared, ([0.1, 0.2], [0.3, 0.5]), strict=True):
        assert group.loss.tolist() == pytest.approx(losses)
        assert group.honest.shape == (1, 2)
        assert group.weights.maps[-1].weight.shape[-1] == 2


def test_deep_networks_learn_what_misses_a_rung(tmp_path):
    # Of a circuit's third layer three neurons are annotated, of the first two nothing.
    teacher = CircuitTeacher.random(10, 4, 8, random_state=2)
    X = np.random.default_rng(2).permutation(np.array(list(product([-1.0, 1.0], repeat=10))))
    *_, third, fourth = teacher.neurons(X)
    Y = np.hstack([third[:, :3], fourth])
    Y = Y[:, np.abs(Y.mean(axis=0)) < 0.9]
    wrong = {}
    for n_layers in (1, 4):
        features = LearnedFeatures(128, 0.0, n_layers)
        clf = RungwiseClassifier(features, n_folds=3, max_depth=2, random_state=1).fit(X[:700], Y[:700])
        wrong[n_layers] = (clf.predict(X[700:]) != Y[700:]).mean()
    assert wrong[4] < 0.04
    assert wrong[4] < 0.4 * wrong[1]
    rungwise.save(clf, tmp_path / "deep")
    loaded = rungwise.load(tmp_path / "deep")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("width", [255, 256])
def test_products_are_rounded_while_wide_networks_train(width, short, monkeypatch):
    @contextmanager
    def rounding():
        inside.append(True)
        yield
        inside.pop()

    inside, found = [], {"_loss": [], "_honest": []}
    monkeypatch.setattr(fold_networks, "rounded_factors", rounding)
    for name, rounded in found.items():
        inner = getattr(FoldNetworks, name)

        def noting(*arguments, inner=inner, rounded=rounded):
            rounded.append(bool(inside))
            return inner(*arguments)

        monkeypatch.setattr(FoldNetworks, name, noting)
    train(LearnedFeatures(width), *problem())
    assert set(found["_loss"]) == {width == 256}
    # What the networks say in the end is not rounded.
    assert not found["_honest"][-1]


def networks_of_problem():
    stream, signs = problem()
    examples = Examples(stream.float(), (1 + signs.float()) / 2, torch.ones(90), apart(90).fold)
    return FoldNetworks(examples, torch.ones(4, dtype=torch.bool), 8, 4, 0.0, seeded(7))


# 60 rows in batches of 16.
STEPS_OF_PROBLEM = 4


def on_step(monkeypatch, note):
    """Call a function with the optimiser after each of its steps."""
    step = torch.optim.Adam.step

    def noting(optimiser, *arguments):
        result = step(optimiser, *arguments)
        note(optimiser)
        return result

    monkeypatch.setattr(torch.optim.Adam, "step", noting)


def test_last_epochs_have_shorter_steps(monkeypatch):
    monkeypatch.setattr(fold_networks, "_PATIENCE", 1000)
    monkeypatch.setattr(fold_networks, "_SETTLED", 0.0)
    rates = []
    on_step(monkeypatch, lambda optimiser: rates.extend(group["lr"] for group in optimiser.param_groups))
    networks = networks_of_problem()
    begin_and_descend(networks, 2, 10)
    assert len(rates) == 10 * STEPS_OF_PROBLEM
    assert rates == pytest.approx([0.004] * 8 * STEPS_OF_PROBLEM + [0.0008] * 2 * STEPS_OF_PROBLEM)


def test_the_mean_of_the_weights_of_an_epoch_is_kept(monkeypatch):
    monkeypatch.setattr(fold_networks, "_SHRINKAGE", 0.0)
    passed = []
    on_step(
        monkeypatch, lambda optimiser: passed.append([w.detach().clone() for w in optimiser.param_groups[0]["params"]])
    )
    networks = networks_of_problem()
    trained = begin_and_descend(networks, 2, 1)
    for kept, *weights in zip(trained.weights.tensors, *passed, strict=True):
        torch.testing.assert_close(kept, torch.stack(weights).mean(0))


def test_weights_whose_gradients_are_noise_shrink_to_nothing(monkeypatch):
    def share_of_noise():
        stream = torch.randn(600, 20, generator=seeded(0))
        examples = Examples(stream, (stream[:, :1] > 0).float(), torch.ones(600), apart(600).fold)
        networks = FoldNetworks(examples, torch.ones(20, dtype=torch.bool), 16, 2, 0.0, seeded(7))
        read = begin_and_descend(networks, 1, 20).weights.maps[0].weight.abs().sum((0, 2))
        return float(read[1:].mean() / read[0])

    share = share_of_noise()
    monkeypatch.setattr(fold_networks, "_SHRINKAGE", 0.0)
    assert share < share_of_noise() / 4


def test_rare_labels_keep_their_frequency():
    stream = torch.randn(2000, 4, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream[:, :1] + stream[:, 1:2] > 2.9, 1.0, -1.0).double()
    honest = train(LearnedFeatures(64), stream, signs, apart(2000)).honest
    frequency = (1 + signs.mean()) / 2
    assert 0.01 < frequency < 0.03
    assert ((1 + honest.mean()) / 2).item() == pytest.approx(frequency.item(), rel=0.2)


def test_entries_that_say_nothing_are_not_read(short):
    stream, signs = problem()
    stream[:, 2] = 0.5
    opinions = train(LearnedFeatures(4), stream, signs)
    moved = stream.clone()
    moved[:, 2] = 3
    assert torch.equal(opinions.layer(moved), opinions.layer(stream))
    assert opinions.importance(torch.tensor([0, 1]))[2].tolist() == [0, 0]
    nothing = train(LearnedFeatures(4), torch.ones_like(stream), signs)
    assert torch.allclose(nothing.layer(stream), nothing.layer(moved))


def test_a_copy_is_a_weight():
    stream, signs = problem(60)
    weights = torch.ones_like(signs)
    weights[[2, 40]] = 2
    weighted = train(LearnedFeatures(8), stream, signs, apart(60), weights)
    index = torch.tensor(sorted([*range(60), 2, 40]))
    folds = [slice(0, 21), slice(21, 41), slice(41, 62)]
    copied = train(LearnedFeatures(8), stream[index], signs[index], Grouping(folds, index, index))
    assert torch.allclose(copied.honest, weighted.honest[index], atol=1e-6)
    assert torch.allclose(copied.layer(stream), weighted.layer(stream), atol=1e-6)


def test_copies_with_opposite_labels_are_undecided():
    stream, _ = problem(60)
    signs = torch.where(stream[:, :1] > 0, 1.0, -1.0).double()
    both = torch.stack([signs, -signs], dim=1).reshape(120, 1)
    index = torch.arange(60).repeat_interleave(2)
    folds = [slice(0, 40), slice(40, 80), slice(80, 120)]
    honest = train(LearnedFeatures(8), stream[index], both, Grouping(folds, index, index)).honest
    assert torch.equal(honest[::2], honest[1::2])
    assert honest.abs().mean() < 0.3


def test_learns_what_no_linear_readout_can():
    stream = torch.randn(500, 3, generator=seeded(0), dtype=torch.float64)
    signs = torch.sign(stream[:, :1] * stream[:, 1:2])
    honest = train(LearnedFeatures(64), stream, signs, apart(500, 4)).honest
    assert ((honest > 0) == (signs > 0)).double().mean() > 0.85
    design = torch.cat([stream, torch.ones(500, 1, dtype=torch.float64)], dim=1)
    linear = design @ torch.linalg.lstsq(design, signs).solution
    assert ((linear > 0) == (signs > 0)).double().mean() < 0.65


def test_the_entry_that_matters_is_the_most_important():
    stream = torch.randn(300, 5, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream[:, [3, 1]] > 0, 1.0, -1.0).double()
    importance = train(LearnedFeatures(32), stream, signs).importance
    both = importance(torch.tensor([0, 1]))
    assert both.shape == (5, 2)
    assert (both >= 0).all()
    assert both.argmax(0).tolist() == [3, 1]
    assert torch.allclose(importance(torch.tensor([1])), both[:, [1]])


def random_layer(n_entries, groups, n_nets=3):
    """Return a layer whose groups of networks have such labels and numbers of layers."""
    networks, n_labels = [], 1 + max(max(labels) for labels, _ in groups)
    for labels, n_layers in groups:
        zeros = Networks.zeros(n_nets, n_entries, 8, n_layers, len(labels)).weights
        weights = zeros.each(lambda tensor: 0.3 * torch.randn(tensor.shape, generator=seeded(7)).double())
        networks.append(Networks(torch.tensor(labels), weights))
    return LearnedLayer(torch.full((n_labels,), 0.5).double(), networks, "clip")


def test_slopes_are_those_of_small_steps():
    layer, rows, step = random_layer(4, [([0, 3], 3), ([2], 1)]), problem(20)[0], 1e-6
    labels = torch.tensor([2, 1, 3])
    slopes = layer.squared_slopes(rows, labels)
    assert slopes[:, 1].tolist() == [0] * 4  # has no network
    for entry in range(4):
        moved = rows.clone()
        moved[:, entry] += step
        squares = torch.zeros(4, dtype=torch.float64)
        for net in range(3):
            after, before = (torch.logit(outputs(layer, inputs, net)) for inputs in (moved, rows))
            squares += ((after - before) / step).square().mean(0) / 3
        assert slopes[entry].tolist() == pytest.approx(squares[labels].tolist(), rel=1e-3)


def test_importance_is_the_squared_slope_times_the_variance(short):
    stream, signs = problem(120)
    opinions = train(LearnedFeatures(8, n_layers=3), stream, signs)
    rows = stream[(torch.arange(50) * 119 / 49).round().long()]
    expected = stream.var(0)[:, None] * opinions.layer.squared_slopes(rows, torch.tensor([1, 0]))
    assert torch.allclose(opinions.importance(torch.tensor([1, 0])), expected)


def test_many_rows_are_told_a_few_at_a_time(monkeypatch):
    layer, stream = random_layer(4, [([0, 3], 3), ([2], 1)]), problem(20)[0]
    at_once = layer(stream)
    monkeypatch.setattr(learned_layer, "_CHUNK", 7)
    assert torch.allclose(layer(stream), at_once)
    layer(stream.requires_grad_()).sum().backward()
    assert (stream.grad.abs().amax(1) > 0).all()


def test_reproducible():
    stream, signs = problem()
    before = torch.get_rng_state()
    one, again, other = (train(LearnedFeatures(8), stream, signs, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.honest, again.honest)
    assert torch.equal(one.layer(stream), again.layer(stream))
    assert not torch.equal(one.honest, other.honest)
    assert torch.equal(torch.get_rng_state(), before)


def test_fits_where_gradients_are_off():
    stream, signs = problem(30)
    with torch.no_grad():
        opinions = train(LearnedFeatures(4), stream, signs)
    assert not opinions.honest.requires_grad
    assert not opinions.layer(stream).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opinions_have_the_precision_of_the_stream(dtype, short):
    stream, signs = problem()
    opinions = train(LearnedFeatures(4), stream.to(dtype), signs.to(dtype))
    assert opinions.honest.dtype == dtype
    assert opinions.layer(stream.to(dtype)).dtype == dtype
    assert opinions.layer(stream[:0].to(dtype)).shape == (0, 2)


def test_layer_is_rebuilt_from_its_config_and_tensors(short):
    stream, signs = problem()
    layer = train(LearnedFeatures(4), stream, signs).layer
    rebuilt = LAYERS[layer.kind].from_config(**layer.config).double()
    rebuilt.load_state_dict(layer.state_dict())
    assert torch.equal(rebuilt(stream), layer(stream))
    assert rebuilt.config == layer.config
    assert not list(layer.parameters())


def test_learned_and_linear_features_are_listed():
    assert FEATURE_MAPS["learned"] is LearnedFeatures
    assert LAYERS["learned"] is LearnedLayer
    assert FEATURE_MAPS["linear"] is LinearFeatures
    assert LAYERS["linear"] is LinearLayer


def test_linear_layer_is_the_stream():
    stream, _ = problem(10)
    layer = LinearFeatures().fit(stream, seeded(0))
    assert torch.equal(layer(stream), stream)
    assert torch.equal(LAYERS[layer.kind].from_config(**layer.config)(stream), stream)
    weight = torch.tensor([[2.0], [0.0], [-1.0], [0.5]], dtype=torch.float64)
    expected = [4 * stream[:, 0].var().item(), 0, stream[:, 2].var().item(), 0.25 * stream[:, 3].var().item()]
    assert layer.importance(stream, weight)[:, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"width": 0}, "width must be a whole number of at least 1, however: width=0"),
        ({"n_layers": 0}, "n_layers must be a whole number of at least 1, however: n_layers=0"),
        ({"dropout": 1.0}, "dropout must be a number of at least 0 and less than 1, however: dropout=1.0"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"dropout": "half"}, "dropout must be"),
    ],
)
def test_bad_parameters_are_refused(parameters, reason):
    with pytest.raises(ValueError, match=reason):
        LearnedFeatures(**parameters)
