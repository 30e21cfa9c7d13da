import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from rungwise import RungwiseClassifier
from rungwise.features import RandomFeatures
from rungwise.fitting import layerwise, proposals
from rungwise.fitting.folds import Grouping
from rungwise.fitting.leaks import without_leaks
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.proposals import Proposal, make_proposals
from rungwise.fitting.readout import fit_readout
from rungwise.fitting.training import Training
from rungwise.network import Block, ResidualNetwork

ONLY = torch.tensor([0])


@pytest.fixture
def training():
    """Labels that the input tells; after a block that hears a little of them, honest estimates lean the other way."""
    targets = torch.tensor([1.0, -1.0, -1.0, 1.0]).repeat(50)[:, None]
    folds = [slice(50 * fold, 50 * fold + 50) for fold in range(4)]
    training = Training(
        ResidualNetwork(1, 1),
        targets.clone(),
        targets,
        torch.ones_like(targets),
        Grouping.apart(folds),
        SquaredLoss(),
        torch.Generator().manual_seed(0),
        [],
    )
    block = Block(torch.nn.Identity(), weight=torch.tensor([[0.1], [0.0]]), bias=torch.zeros(1))
    training.add(block, -0.1 * targets, {})
    return training


def proposal(training, of_input, of_label, kept=False):
    """Return an estimate that is a weighted sum of the input and of what was said about the label."""
    weight = torch.tensor([[of_input], [of_label]])
    estimates = training.stream.entries @ weight + kept * training.stream.estimates
    loss, _ = training.loss_and_error(estimates, ONLY)
    nothing = torch.zeros(1)

    def honest_at(entries, rows):
        return entries @ weight

    layer = torch.nn.Identity()
    return Proposal("sum", layer, weight, nothing, nothing, kept, estimates, loss, honest_at, None, False)


def test_what_reads_labels_out_of_honest_estimates_is_not_proposed(training):
    good, weak, leak = (proposal(training, *weights) for weights in ((1.0, 0.0), (0.3, 0.5), (0.0, -10.0)))
    assert leak.loss < 1e-9
    assert without_leaks(training, ONLY, [leak, good, weak]) == [good, weak]


def test_what_is_added_to_the_estimates_so_far_is_judged_with_them(training):
    # Of the label, honestly .4, and -.4 where the network has seen it.
    assert without_leaks(training, ONLY, [proposal(training, 0.0, -5.0, kept=True)]) == []
    # Honestly .7, and 1.1.
    kept = proposal(training, 0.9, 1.0, kept=True)
    assert without_leaks(training, ONLY, [kept]) == [kept]


def test_rows_without_weight_tell_nothing(training):
    leak = proposal(training, 0.0, -10.0)
    # Three rows of weight are too few to tell; the same leak is found on ten.
    for n_rows, kept in ((3, [leak]), (10, [])):
        training.weights = torch.zeros_like(training.weights).index_fill(0, torch.arange(n_rows), 1.0)
        assert without_leaks(training, ONLY, [leak]) == kept


def test_copies_of_a_row_count_as_one(training):
    leak = proposal(training, 0.0, -10.0)
    unit = torch.arange(200) // 100  # two units only: nothing can be told
    training.grouping = Grouping(training.grouping.folds, unit, unit)
    assert without_leaks(training, ONLY, [leak]) == [leak]


def test_tiny_differences_are_no_leaks(training):
    assert len(without_leaks(training, ONLY, [proposal(training, 0.5, -0.001)])) == 1


def test_updates_of_readouts_are_those_that_did_not_see_the_fold(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    targets = torch.where(x[:, :2] + torch.randn(60, 2, generator=generator) > 0, 1.0, -1.0).double()
    grouping = Grouping.apart([slice(0, 20), slice(20, 40), slice(40, 60)])
    training = Training(
        ResidualNetwork(3, 2), x, targets, torch.ones_like(targets), grouping, SquaredLoss(), generator, []
    )
    training.add(Block(torch.nn.Identity(), torch.ones(5, 2), torch.zeros(2)).double(), 0.1 * x[:, :2], {})
    readouts = []

    def remembered(*arguments):
        readouts.append(fit_readout(*arguments))
        return readouts[-1]

    monkeypatch.setattr(proposals, "fit_readout", remembered)
    labels, rows = torch.tensor([1, 0]), torch.tensor([50, 3, 21])
    (proposed,) = make_proposals(training, labels, [RandomFeatures(16)], "exact", [1e-2, 1e-3])
    said = proposed.honest_at(training.stream.entries[rows], rows) + training.stream.estimates[rows][:, labels]
    torch.testing.assert_close(said, proposed.estimates[rows])
    seen = training.seen.entries[rows]  # of so few rows all
    units, (readout,) = proposed.layer(seen), readouts
    expected = [
        units[which] @ readout.fold_weight[fold] + readout.fold_bias[fold] for which, fold in enumerate([2, 0, 1])
    ]
    torch.testing.assert_close(proposed.honest_at(seen, rows), torch.stack(expected))


@pytest.mark.parametrize("shape", [(700, 4), (60, 12, 4)])
def test_what_the_network_says_of_some_rows_is_kept(shape):
    x = torch.as_tensor(np.random.default_rng(0).standard_normal(shape), dtype=torch.float32)
    network = ResidualNetwork(4, 1, neighborhood=None if len(shape) == 2 else Alone())
    n = x.numel() // 4
    targets = torch.sign(x.reshape(n, 4)[:, :1])
    grouping = Grouping.apart([slice(0, n // 2), slice(n // 2, n)])
    generator = torch.Generator().manual_seed(0)
    training = Training(network, x, targets, torch.ones_like(targets), grouping, SquaredLoss(), generator, [])
    for _ in range(2):
        training.add(Block(torch.nn.Identity(), torch.full((5, 1), 0.1), torch.zeros(1)), 0 * targets, {})
    assert len(training.seen_rows) == len(training.seen_rows.unique()) >= 480
    said = network(x).reshape(n, 1)[training.seen_rows]
    torch.testing.assert_close(training.seen.estimates, said)


def test_before_the_first_block_there_is_nothing_to_read(training):
    leak = proposal(training, 0.0, -10.0)
    training.reports.clear()
    assert without_leaks(training, ONLY, [leak]) == [leak]


class Alone:
    """A neighborhood in which a position sees itself."""

    def index(self, n_positions):
        return torch.arange(n_positions)[:, None]


def noisy_table(n):
    """Return few inputs, and labels that are noisy functions of them; the second hears the noise of the first."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    score = np.tanh(X @ rng.standard_normal(3))
    first = score + rng.standard_normal(n)
    second = score + 1.5 * np.sign(first) + rng.standard_normal(n)
    return X, np.column_stack([first > 0.3, second > 1]).astype(float)


@pytest.mark.parametrize("settings", [{}, {"features": "kernel"}])
def test_later_blocks_do_no_harm_where_labels_are_noisy_and_columns_few(settings, monkeypatch):
    X, Y = noisy_table(3400)

    def loss(max_depth):
        model = RungwiseClassifier(max_depth=max_depth, random_state=0, **settings).fit(X[:400], Y[:400])
        return sum(log_loss(truth, said) for truth, said in zip(Y[400:].T, model.predict_proba(X[400:]).T, strict=True))

    first = loss(1)
    assert loss(None) < 1.02 * first
    # The table is one where leaks cost much.
    monkeypatch.setattr(layerwise, "without_leaks", lambda training, labels, proposals: proposals)
    assert loss(None) > 1.06 * first
