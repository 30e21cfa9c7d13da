"""The layerwise loop: no label ever gets worse, settled labels are left alone, and hierarchies are climbed."""

import numpy as np
import pytest
import torch

from rungwise import RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.features import Opinions, RandomFeatures, TreeFeatures
from rungwise.fitting import layerwise
from rungwise.fitting.folds import Grouping, assign_folds, find_units, fold_slices
from rungwise.fitting.gate_search import GateSettings
from rungwise.fitting.layerwise import fit_layerwise
from rungwise.fitting.losses import LOSSES, SquaredLoss
from rungwise.fitting.proposals import make_proposals
from rungwise.fitting.readout import PENALTIES
from rungwise.hierarchy import find_levels

N_FOLDS = 4


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Matrices this small lose more by waiting for threads than they gain."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def fit(x, targets, weights=None, loss=None, width=64, seed=0, dtype=torch.float64, features=None, **options):
    """Return the rows, sorted by fold, and what `fit_layerwise` makes of them."""
    fold = assign_folds(find_units(x, seed), N_FOLDS)
    order = np.argsort(fold, kind="stable")
    weights = np.ones(targets.shape) if weights is None else weights
    x, targets, weights = (torch.as_tensor(array[order], dtype=dtype) for array in (x, targets, weights))
    options = {"max_depth": 6, "generator": torch.Generator().manual_seed(seed)} | options
    fitted = fit_layerwise(
        x,
        targets,
        weights,
        Grouping.apart(fold_slices(fold)),
        features or [RandomFeatures(width=width)],
        loss or SquaredLoss(),
        **options,
    )
    return x, targets, weights, fitted


def small_hierarchy(seed, n_samples=300):
    X, Y, model = make_hierarchy(n_samples, n_inputs=10, n_levels=3, n_labels_per_level=4, random_state=seed)
    return X, 2.0 * Y - 1, model


def labels_of_a_kind(kind, seed):
    """Return x, targets and weights: learnable labels with and without noise, and partly annotated ones."""
    rng = np.random.default_rng(seed)
    X, targets, _ = small_hierarchy(seed)
    weights = np.ones(targets.shape)
    if kind == "noise":
        targets = rng.choice([-1.0, 1.0], size=targets.shape)
    elif kind == "noisy":
        targets = np.where(rng.random(targets.shape) < 0.2, -targets, targets)
    elif kind == "masked":
        weights = (rng.random(targets.shape) < 0.6).astype(float)
        targets = np.where(weights > 0, targets, 0.0)  # any finite value may stand where the weight is 0
    elif kind == "weighted":
        weights = rng.exponential(size=targets.shape)
    return X, targets, weights


def penalties_for(loss):
    """Return few and large penalties where each costs many Newton steps, to keep the tests quick."""
    return PENALTIES if loss.is_quadratic else (float("inf"), 0.1, 0.01)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["clean", "noisy", "noise", "masked", "weighted"])
def test_honest_loss_of_no_label_ever_gets_worse(kind, seed):
    loss = LOSSES[["squared", "squared_hinge", "logistic"][seed % 3]]()
    *_, fitted = fit(*labels_of_a_kind(kind, seed), loss=loss, seed=seed, max_depth=4, penalties=penalties_for(loss))
    assert fitted.reports or kind == "noise"
    for report in fitted.reports:
        assert (report.loss_after <= report.loss_before).all()
        assert report.taken.any()
    for earlier, later in zip(fitted.reports, fitted.reports[1:], strict=False):
        assert torch.equal(earlier.loss_after, later.loss_before)
        assert torch.equal(earlier.error_after, later.error_before)


@pytest.mark.parametrize("seed", range(5))
def test_settled_label_is_left_alone(seed):
    x, targets, _ = labels_of_a_kind("noisy", seed)
    *_, fitted = fit(x, targets, seed=seed)
    left_alone = 0
    for report, block in zip(fitted.reports, fitted.network.blocks, strict=True):
        idle = ~report.taken
        left_alone += int(idle.sum())
        assert torch.equal(block.labels, report.taken.nonzero()[:, 0])
        assert torch.equal(report.loss_after[idle], report.loss_before[idle])
        assert (block.weight.abs().amax(0) + block.bias.abs() > 0).all()
    assert left_alone > 0


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_reported_losses_are_the_losses_of_the_honest_estimates(loss):
    loss = LOSSES[loss]()
    _, targets, weights, fitted = fit(*labels_of_a_kind("masked", 3), loss=loss, penalties=penalties_for(loss))
    shares = weights / weights.sum(0)
    expected = (shares * loss.value(fitted.estimates, targets)).sum(0)
    torch.testing.assert_close(fitted.reports[-1].loss_after, expected)
    wrong = ((fitted.estimates > 0) != (targets > 0)).double()
    torch.testing.assert_close(fitted.reports[-1].error_after, (shares * wrong).sum(0))


def test_nothing_is_proposed_for_labels_that_are_nearly_exact(monkeypatch):
    asked = []

    def recording(training, labels, *options):
        asked.append(labels.tolist())
        return make_proposals(training, labels, *options)

    monkeypatch.setattr(layerwise, "make_proposals", recording)
    x = np.random.default_rng(0).choice([-1.0, 1.0], size=(800, 8))
    *_, fitted = fit(x, np.stack([x[:, 0], x[:, :4].prod(axis=1)], axis=1), width=256)
    assert asked == [[0, 1], [1]]
    assert fitted.reports[0].loss_after[0] < 1e-3 * fitted.prior_loss[0]


class Aside:
    """Features that stand aside, and keep what they are told of the labels."""

    name = "aside"

    def __init__(self):
        self.standings = []

    def fit_honest(self, stream, generator, objective, grouping, standing):
        self.standings.append(standing)


class Remembered(torch.nn.Module):
    """A layer of opinions about the training rows, all of them in their order."""

    def __init__(self, opinions):
        super().__init__()
        self.opinions = opinions

    def forward(self, stream):
        assert len(stream) == len(self.opinions)
        return self.opinions


class OneByOne(Aside):
    """Features that know the first of the labels asked for, and nothing of the others."""

    name = "one by one"

    def fit_honest(self, stream, generator, objective, grouping, standing):
        super().fit_honest(stream, generator, objective, grouping, standing)
        honest = torch.zeros_like(objective.targets)
        honest[:, 0] = objective.targets[:, 0]
        return Opinions(
            Remembered(honest),
            honest,
            lambda entries, rows: honest[rows],
            lambda labels: stream.new_zeros(stream.shape[1], len(labels)),
        )


def test_features_are_told_which_labels_are_in_doubt_and_which_became_certain_last():
    x = np.random.default_rng(0).choice([-1.0, 1.0], size=(100, 5))
    features = OneByOne()
    fit(x[:, :2], x[:, 2:], features=[features], max_depth=3)
    assert [standing.doubted.tolist() for standing in features.standings] == [[True] * 3, [True] * 2, [True]]
    assert all(standing.risen for standing in features.standings)
    assert [[reading.tolist() for reading in standing.readings] for standing in features.standings] == [
        [[True, True, False, False, False]],
        [[True, True, True, False, False]],
        [[True, True, False, True, False], [True, True, True, True, False]],
    ]


def test_no_new_rung_is_looked_for_where_the_last_block_made_nothing_certain():
    x = np.random.default_rng(0).choice([-1.0, 1.0], size=(300, 8))
    noisy = np.where(np.random.default_rng(1).random(300) < 0.3, -1.0, 1.0) * x[:, 0]
    aside = Aside()
    fit(x, noisy[:, None], features=[aside, RandomFeatures(64)], max_depth=2)
    assert [standing.risen for standing in aside.standings] == [True, False]


def test_labels_that_a_gate_settled_are_not_in_doubt_though_annotations_are_flipped():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(800, 8))
    product, coin = x[:, 0] * x[:, 1], rng.choice([-1.0, 1.0], size=800)
    flipped = np.where(rng.random(800) < 0.1, -product, product)
    aside = Aside()
    *_, fitted = fit(x, np.stack([flipped, coin], axis=1), features=[aside], gates=GateSettings())
    assert list(fitted.gates) == [0]
    (reading,) = aside.standings[-1].readings
    assert aside.standings[-1].doubted.tolist() == [True]  # of the coin: nothing is proposed for the other
    assert reading.tolist() == [True] * 9 + [False]


def test_prior_loss_is_the_loss_of_the_frequency():
    _, targets, _, fitted = fit(*labels_of_a_kind("clean", 0), max_depth=1)
    mean = targets.mean(0)
    # The mean of the other folds is not quite that of all rows.
    torch.testing.assert_close(fitted.prior_loss, (1 - mean**2) / 2, rtol=0.03, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_noise_labels_stop_the_fit(seed):
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0], size=(500, 10))
    *_, fitted = fit(x, rng.choice([-1.0, 1.0], size=(500, 5)), seed=seed, max_depth=50)
    assert len(fitted.reports) <= 3


def test_learnable_labels_stop_the_fit_once_learned():
    x = np.random.default_rng(0).choice([-1.0, 1.0], size=(400, 6))
    *_, fitted = fit(x, x[:, :2], max_depth=50)
    assert len(fitted.reports) <= 4
    assert (fitted.reports[-1].error_after == 0).all()


def test_max_depth_bounds_the_number_of_blocks():
    *_, fitted = fit(*labels_of_a_kind("clean", 2), max_depth=2)
    assert len(fitted.reports) == len(fitted.network.blocks) == 2


def test_callbacks_get_every_report_in_order():
    first, second = [], []
    *_, fitted = fit(*labels_of_a_kind("clean", 2), callbacks=[first.append, second.append])
    assert [id(report) for report in first] == [id(report) for report in second] == [id(r) for r in fitted.reports]
    assert [report.block for report in first] == list(range(1, len(first) + 1))


def test_the_same_generator_seed_gives_the_same_network():
    *_, one = fit(*labels_of_a_kind("clean", 4), seed=7)
    *_, same = fit(*labels_of_a_kind("clean", 4), seed=7)
    *_, other = fit(*labels_of_a_kind("clean", 4), generator=torch.Generator().manual_seed(8), seed=7)
    assert torch.equal(one.network.blocks[0].weight, same.network.blocks[0].weight)
    assert torch.equal(one.estimates, same.estimates)
    assert not torch.equal(one.estimates, other.estimates)


def test_value_at_unannotated_entries_does_not_matter():
    x, targets, weights = labels_of_a_kind("masked", 5)
    *_, one = fit(x, targets, weights)
    *_, other = fit(x, np.where(weights > 0, targets, 1.0), weights)
    torch.testing.assert_close(one.estimates, other.estimates)
    torch.testing.assert_close(one.network(torch.as_tensor(x).double()), other.network(torch.as_tensor(x).double()))


def test_honest_error_foretells_the_error_on_fresh_rows():
    X, Y, model = make_hierarchy(1000, n_inputs=10, n_levels=3, n_labels_per_level=4, random_state=0)
    fresh = np.random.default_rng(1).choice([-1.0, 1.0], size=(3000, 10))
    *_, fitted = fit(X, 2.0 * Y - 1)
    with torch.no_grad():
        error = (fitted.network(torch.as_tensor(fresh)).sign().numpy() != model(fresh)).mean()
    assert error <= fitted.reports[-1].error_after.mean() + 0.01


def test_learned_hierarchy_has_small_error_on_fresh_rows():
    X, Y, model = make_hierarchy(3000, n_inputs=12, n_levels=3, n_labels_per_level=6, random_state=0)
    *_, fitted = fit(X, 2.0 * Y - 1, width=512, dtype=torch.float32)
    fresh = np.random.default_rng(1).choice(np.float32([-1, 1]), size=(3000, 12))
    with torch.no_grad():
        wrong = fitted.network(torch.as_tensor(fresh)).sign().numpy() != model(fresh)
    assert wrong.mean() < 0.02
    losses = np.stack([report.loss_after.numpy() for report in fitted.reports])
    level = find_levels(losses, fitted.prior_loss.numpy())
    assert (level > 0).all()
    # A label is rarely learned before those it is made of.
    assert [level[model.level == true].mean() for true in (1, 2, 3)] == sorted(
        level[model.level == true].mean() for true in (1, 2, 3)
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_label_among_many_that_nothing_tells_is_learned(seed):
    rng = np.random.default_rng(seed)
    X, coins = rng.normal(size=(600, 4)), rng.integers(0, 2, size=(600, 150))
    label = X[:, :1] * X[:, 1:2] + 0.3 * rng.normal(size=(600, 1)) > 0
    clf = RungwiseClassifier(effort="low", random_state=0).fit(X[:400], np.hstack([coins, label])[:400])
    assert (clf.predict(X[400:])[:, -1] != label[400:, 0]).mean() < 0.35
    assert clf.history_.groupby("label")["taken"].any().sum() < 5


@pytest.mark.parametrize("n_labels", [2, 20, 200])
def test_labels_that_nothing_tells_are_worth_no_block(n_labels):
    rng = np.random.default_rng(0)
    X, coins = rng.normal(size=(1000, 4)), rng.integers(0, 2, size=(1000, n_labels))
    assert RungwiseClassifier(effort="low", random_state=0).fit(X, coins).n_blocks_ == 0


def test_who_takes_an_update():
    def worth(before, gain, deviation=0.01, prior=1.0):
        loss, gain, deviation = (torch.as_tensor(value).double() for value in (before, gain, deviation))
        return layerwise._worth_taking(loss, loss - gain, deviation.expand_as(loss), prior, 0.01, 0.0075).tolist()

    hopeless = [1.0] * 400
    # All gain enough together; less than a standard error is nothing.
    assert worth([1.0, 1.0, 1.0], [0.5, 0.02, 0.009]) == [True, True, False]
    # One gains much: not those beside it that may have gained by accident.
    assert worth([*hopeless, 1.0], [0.02, *[0.0] * 399, 0.5]) == [False] * 400 + [True]
    assert worth([*hopeless, 1.0], [0.02, *[0.0] * 399, 0.025]) == [False] * 401
    # What was learned before may go on.
    assert worth([*hopeless, 0.5], [0.02, *[0.0] * 399, 0.015]) == [False] * 400 + [True]
    assert worth([*hopeless, 0.5, 0.5, 0.5, 0.5], [0.0] * 400 + [0.011, 0.0, 0.0, 0.0]) == [False] * 404


def test_no_block_is_tried_after_one_that_gained_little():
    def is_promising(before, after, prior=1.0):
        before, after = torch.tensor(before).double(), torch.tensor(after).double()
        return layerwise._is_promising(before, after, torch.full_like(before, prior), 0.01)

    assert is_promising([0.5, 0.5], [0.5, 0.43])
    assert not is_promising([0.5, 0.5], [0.5, 0.45])
    # Half of what is left is little if hardly anything is left.
    assert not is_promising([0.04, 0.04], [0.02, 0.02])
    # Labels that nothing tells do not count.
    assert is_promising([0.5, 0.5] + [1.0] * 98, [0.5, 0.43] + [1.0] * 98)
    # One of many labels has risen; others may stand on it.
    assert is_promising([0.5] * 99 + [1.0], [0.5] * 99 + [0.7])
    assert not is_promising([0.5] * 99 + [1.0], [0.5] * 99 + [0.8])


def test_only_blocks_of_several_kinds_are_not_tried_for_little(monkeypatch):
    monkeypatch.setattr(layerwise, "_is_promising", lambda *losses: False)
    X, targets, _ = small_hierarchy(0)
    *_, fitted = fit(X, targets, features=[TreeFeatures(20), RandomFeatures(width=16)])
    assert len(fitted.reports) == 1
    *_, fitted = fit(X, targets, features=[TreeFeatures(20)] * 2)
    assert len(fitted.reports) > 1
