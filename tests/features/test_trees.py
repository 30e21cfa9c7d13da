import numpy as np
import pytest
import torch

from rungwise.features import FEATURE_MAPS, LAYERS, TreeFeatures, TreeLayer, nodes, trees
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective

BALANCED = pytest.mark.parametrize("balanced", [False, True])
SPLITS = pytest.mark.parametrize("splits", ["best", "random"])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def problem(n=80, n_entries=5, n_labels=3, dtype=torch.float64):
    stream = torch.randn(n, n_entries, generator=seeded(0), dtype=dtype)
    noise = torch.randn(n, n_labels, generator=seeded(1), dtype=dtype)
    signs = torch.where(stream[:, :1] + 0.5 * noise > 0, 1.0, -1.0).to(dtype)
    return stream, signs


def apart(n):
    return Grouping.apart([slice(0, n // 2), slice(n // 2, n)])


def as_units(unit):
    return Grouping([slice(0, len(unit))], torch.as_tensor(unit), torch.as_tensor(unit))


def grow(features, stream, signs, grouping=None, weights=None, loss=None, seed=7):
    weights = torch.ones_like(signs) if weights is None else weights
    objective = Objective(loss or SquaredLoss(), stream[:, :0], signs, weights, torch.zeros_like(signs))
    return features.fit_honest(stream, seeded(seed), objective, grouping or apart(len(stream)), standing=None)


@pytest.fixture
def forests(monkeypatch):
    """Return a list that holds every forest that is grown."""
    kept = []

    class Kept(trees._Forest):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            kept.append(self)

    monkeypatch.setattr(trees, "_Forest", Kept)
    return kept


def leaves_by_scikit_learn(forest, stream):
    values, columns, n_before = stream.float().numpy(), [], 0
    for grown in forest.grown:
        is_leaf = grown.tree.children_left < 0
        columns.append(n_before + (np.cumsum(is_leaf) - 1)[grown.tree.apply(values)])
        n_before += int(is_leaf.sum())
    return np.stack(columns, axis=1)


@SPLITS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_reach_the_leaves_of_scikit_learn_at_and_beside_thresholds(splits, dtype, forests):
    stream, signs = problem(dtype=dtype)
    layer = grow(TreeFeatures(12, splits), stream, signs).layer
    n_tested = 0
    others = torch.randn(300, 5, generator=seeded(2), dtype=dtype)
    assert (layer.leaves(others).numpy() == leaves_by_scikit_learn(forests[0], others)).all()
    for tree in (grown.tree for grown in forests[0].grown):
        for entry, threshold in zip(tree.feature, tree.threshold, strict=True):
            if entry < 0:
                continue
            at = np.float32(threshold)
            beside = [np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.float32(np.inf))]
            beside += [np.nextafter(threshold, -np.inf), threshold, np.nextafter(threshold, np.inf)]
            rows = stream[:6].clone()
            rows[:, entry] = torch.tensor([float(value) for value in beside], dtype=torch.float64).to(dtype)
            assert (layer.leaves(rows).numpy() == leaves_by_scikit_learn(forests[0], rows)).all()
            n_tested += 1
    assert n_tested > 50


def test_thresholds_are_rounded_down_to_single_precision():
    thresholds = np.array([0.1, -0.1, 1 / 3, 1.5, -2.0, 0.0])
    rounded = nodes._round_down(thresholds)
    assert rounded.dtype == np.float32
    assert (rounded <= thresholds).all()
    assert (np.nextafter(rounded, np.float32(np.inf)) > thresholds).all()


def brute_force(forest, values, positives, weights, rows, honest):
    """Mean over the trees (that did not draw the row, if honest) of the mean labels of its leaf, row by row."""
    opinions = np.zeros((len(rows), positives.shape[1]))
    for place, row in enumerate(rows):
        means = []
        for grown in forest.grown:
            if honest and grown.count[place] > 0:
                continue
            members = grown.tree.apply(values) == grown.tree.apply(row[None])[0]
            share = members * grown.count * weights
            means.append(share @ positives / share.sum())
        opinions[place] = np.mean(means, axis=0) if means else np.average(positives, axis=0, weights=weights)
    return opinions


@SPLITS
@pytest.mark.parametrize("min_leaf", [1, 5])
def test_layer_and_honest_opinions_are_means_of_leaf_means(splits, min_leaf, forests):
    stream, signs = problem(40)
    weights = torch.rand(40, generator=seeded(4), dtype=torch.float64) + 0.5
    opinions = grow(TreeFeatures(15, splits, min_leaf), stream, signs, weights=weights[:, None].expand(-1, 3))
    known = forests[0], stream.float().numpy(), ((1 + signs) / 2).numpy(), weights.numpy()
    others = torch.randn(20, 5, generator=seeded(3), dtype=torch.float64)
    expected = brute_force(*known, others.float().numpy(), honest=False)
    np.testing.assert_allclose(opinions.layer(others).numpy(), 2 * expected - 1, atol=1e-6)
    expected = brute_force(*known, known[1], honest=True)
    np.testing.assert_allclose(opinions.honest.numpy(), 2 * expected - 1, atol=1e-12)


@SPLITS
@BALANCED
def test_the_own_label_of_a_row_does_not_move_its_opinion(splits, balanced):
    stream, signs = problem()
    # So rare that each of its rows moves its variance by half.
    signs[:, 0] = -1
    signs[[0, 13], 0] = 1
    features = TreeFeatures(20, splits, balanced=balanced)
    before = grow(features, stream, signs)
    for row in [0, 13, 79]:
        flipped = signs.clone()
        flipped[row] *= -1
        after = grow(features, stream, flipped)
        assert torch.equal(after.honest[row], before.honest[row])
        assert not torch.equal(after.honest, before.honest)
        assert not torch.equal(after.layer(stream)[row], before.layer(stream)[row])


@BALANCED
def test_trees_that_did_not_draw_a_row_do_not_depend_on_its_label(balanced, forests):
    stream, signs = problem()
    signs[:, 0] = -1
    signs[[3, 20], 0] = 1
    flipped = signs.clone()
    flipped[3] *= -1
    for labels in (signs, flipped):
        grow(TreeFeatures(20, balanced=balanced), stream, labels)
    n_alike = 0
    for one, other in zip(forests[0].grown, forests[1].grown, strict=True):
        assert (one.count == other.count).all()
        if one.count[3] == 0:
            assert (one.tree.feature == other.tree.feature).all()
            assert (one.tree.threshold == other.tree.threshold).all()
            n_alike += 1
    assert n_alike > 2


@pytest.mark.parametrize(("balanced", "entry"), [(False, 0), (True, 1)])
def test_a_rare_label_that_is_clear_is_split_before_a_common_one_that_is_not_if_balanced(balanced, entry, forests):
    stream = torch.rand(400, 2, generator=seeded(0), dtype=torch.float64)
    common = (stream[:, :1] > 0.5) ^ (torch.rand(400, 1, generator=seeded(1)) < 0.15)
    labels = torch.cat([common, stream[:, 1:] > 0.95], dim=1)
    grow(TreeFeatures(20, breadth=2, balanced=balanced), stream, torch.where(labels, 1.0, -1.0).double())
    assert {int(grown.tree.feature[0]) for grown in forests[0].grown} == {entry}


@pytest.mark.parametrize("constant", [-1.0, 1.0])
def test_a_constant_label_moves_no_balanced_tree(constant, forests):
    stream, signs = problem()
    for labels in (signs, torch.cat([signs, torch.full_like(signs[:, :1], constant)], dim=1)):
        grow(TreeFeatures(20, balanced=True), stream, labels)
    for one, other in zip(forests[0].grown, forests[1].grown, strict=True):
        assert (one.leaf == other.leaf).all()


def test_many_labels_are_never_balanced(forests):
    stream, signs = problem(n_labels=65)
    signs[:, 1:] = -1
    signs[:3, 1:] = 1
    for balanced in (False, True):
        grow(TreeFeatures(20, balanced=balanced), stream, signs)
    for one, other in zip(forests[0].grown, forests[1].grown, strict=True):
        assert (one.leaf == other.leaf).all()


@SPLITS
def test_rows_of_one_unit_are_drawn_together(splits, forests):
    stream, signs = problem(60)
    stream, signs = stream.repeat(2, 1), torch.cat([signs, -signs])
    unit = torch.arange(60).repeat(2)
    before = grow(TreeFeatures(40, splits), stream, signs, as_units(unit))
    for grown in forests[0].grown:
        assert (grown.count[:60] == grown.count[60:]).all()
    flipped = signs.clone()
    flipped[[5, 65]] = torch.tensor([[1.0], [1.0]], dtype=torch.float64)
    after = grow(TreeFeatures(40, splits), stream, flipped, as_units(unit))
    assert torch.equal(after.honest[[5, 65]], before.honest[[5, 65]])
    assert torch.equal(before.honest[:60], before.honest[60:])


def test_copies_drawn_apart_would_tell_each_other_their_labels():
    # Labels by lot: only what copies know of each other can tell them.
    stream = torch.randn(60, 5, generator=seeded(0), dtype=torch.float64).repeat(2, 1)
    signs = torch.where(torch.rand(60, 3, generator=seeded(1)) > 0.5, 1.0, -1.0).double().repeat(2, 1)
    together = grow(TreeFeatures(40), stream, signs, as_units(torch.arange(60).repeat(2))).honest
    alone = grow(TreeFeatures(40), stream, signs, apart(120)).honest
    assert ((together > 0) != (signs > 0)).double().mean() > 0.4
    assert ((alone > 0) != (signs > 0)).double().mean() < 0.2


def test_balanced_labels_have_about_the_same_variance_and_weights_count_as_rows():
    positives = (torch.rand(2000, 4, generator=seeded(0)) < torch.tensor([0.5, 0.2, 0.03, 0.0])).double().numpy()
    weights = torch.randint(1, 4, (2000,), generator=seeded(1)).numpy()
    balanced = trees._balanced(positives, weights.astype(float))
    repeated = trees._balanced(positives.repeat(weights, axis=0), np.ones(weights.sum()))
    assert (repeated == balanced.repeat(weights, axis=0)).all()
    variance = repeated.var(axis=0)
    assert (variance[:3] > 0.45).all()
    assert (variance[:3] < 2.05).all()
    assert variance[3] == 0


@pytest.mark.parametrize("weight", [1, 2, 3])
@BALANCED
def test_rows_repeated_in_one_unit_are_the_row_with_weight(balanced, weight):
    stream, signs = problem(50)
    weights = torch.ones_like(signs)
    weights[4] = weight
    features = TreeFeatures(20, balanced=balanced)
    weighted = grow(features, stream, signs, as_units(torch.arange(50)), weights)
    index = torch.cat([torch.arange(50), torch.full((weight - 1,), 4)])
    repeated = grow(features, stream[index], signs[index], as_units(index))
    others = torch.randn(30, 5, generator=seeded(3), dtype=torch.float64)
    # A tie between two splits may be broken the other way by rounding.
    same = (weighted.layer(others) - repeated.layer(others)).abs() < 1e-6
    assert same.double().mean() > 0.9
    assert (weighted.honest - repeated.honest[:50]).abs().mean() < 0.05


def test_rows_without_weight_are_ignored():
    stream, signs = problem(50)
    weights = torch.ones_like(signs)
    weights[:10] = 0
    other = signs.clone()
    other[:10] *= -1
    one, two = (grow(TreeFeatures(12), stream, labels, weights=weights) for labels in (signs, other))
    assert torch.equal(one.honest, two.honest)
    assert torch.equal(one.layer(stream), two.layer(stream))


def test_few_rows_with_weight_are_in_every_sample():
    # As where a label is annotated on few rows only: a sample of all 400 would often hold none of the four.
    stream, signs = problem(400, n_labels=1)
    weights = torch.zeros_like(signs)
    weights[:4] = 1
    signs[:4, 0] = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    opinions = grow(TreeFeatures(30, min_leaf=2), stream, signs, weights=weights)
    assert torch.isfinite(opinions.honest).all()
    # All trees speak about the rows that none of them drew.
    assert torch.allclose(opinions.honest[4:], opinions.layer(stream[4:]), atol=1e-6)


def test_rows_that_every_tree_drew_get_the_frequency():
    stream, signs = problem(20)
    signs[:, 0] = torch.tensor([1.0] * 15 + [-1.0] * 5, dtype=torch.float64)
    honest = grow(TreeFeatures(10), stream, signs, as_units(torch.zeros(20, dtype=torch.long))).honest
    assert honest[:, 0].tolist() == pytest.approx([0.5] * 20)


@SPLITS
def test_many_labels(splits):
    n_labels = trees._MAX_OUTPUTS + 30
    stream, _ = problem(100)
    signs = torch.where(stream[:, torch.arange(n_labels) % 5] > 0, 1.0, -1.0).double()
    opinions = grow(TreeFeatures(40, splits), stream, signs)
    assert opinions.honest.shape == (100, n_labels)
    assert opinions.layer(stream).shape == (100, n_labels)
    assert ((opinions.honest > 0) == (signs > 0)).double().mean() > 0.7
    assert ((opinions.layer(stream) > 0) == (signs > 0)).double().mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_rows(dtype):
    stream, signs = problem(dtype=dtype)
    empty = grow(TreeFeatures(10), stream, signs).layer(stream[:0])
    assert empty.shape == (0, 3)
    assert empty.dtype == dtype


def test_opinions_do_not_depend_on_the_other_rows():
    stream, signs = problem()
    layer = grow(TreeFeatures(10), stream, signs).layer
    many = torch.randn(2 * nodes._CHUNK + 3, 5, generator=seeded(3), dtype=torch.float64)
    together = layer(many)
    for row in [0, nodes._CHUNK - 1, nodes._CHUNK, 2 * nodes._CHUNK + 2]:
        assert together[row].tolist() == pytest.approx(layer(many[row : row + 1])[0].tolist(), abs=1e-6)


@SPLITS
def test_the_entry_that_matters_is_the_most_important(splits):
    stream = torch.randn(150, 6, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream[:, [4, 1]] > 0, 1.0, -1.0).double()
    importance = grow(TreeFeatures(30, splits), stream, signs).importance
    both = importance(torch.tensor([0, 1]))
    assert both.shape == (6, 2)
    assert (both >= 0).all()
    assert both.argmax(0).tolist() == [4, 1]
    assert both[4, 0] > 5 * both[[0, 1, 2, 3, 5], 0].max()
    assert torch.allclose(importance(torch.tensor([1])), both[:, [1]])


def test_opinions_under_tanh_are_log_odds():
    stream, signs = problem()
    clipped, odds = (grow(TreeFeatures(20), stream, signs, loss=loss()) for loss in (SquaredLoss, LogisticLoss))
    assert odds.layer.link == "tanh"
    for one, other in ((clipped.honest, odds.honest), (clipped.layer(stream), odds.layer(stream))):
        probability = ((1 + one) / 2).clamp(1e-3, 1 - 1e-3)
        assert torch.allclose(torch.sigmoid(other), probability, atol=1e-6)


def test_layer_is_rebuilt_from_its_config_and_tensors():
    stream, signs = problem()
    layer = grow(TreeFeatures(10), stream, signs).layer
    rebuilt = LAYERS[layer.kind].from_config(**layer.config)
    rebuilt.load_state_dict(layer.state_dict())
    assert torch.equal(rebuilt(stream), layer(stream))
    assert rebuilt.config == layer.config
    assert not list(layer.parameters())


def test_same_seed_gives_the_same_forest_and_the_generator_moves_on():
    stream, signs = problem()
    one, again, other = (grow(TreeFeatures(10), stream, signs, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.honest, again.honest)
    assert torch.equal(one.layer(stream), again.layer(stream))
    assert not torch.equal(one.honest, other.honest)


def test_with_enough_breadth_every_split_tries_all_entries(forests):
    stream, signs = problem(400)
    for breadth, all_alike in ((1, False), (3, True)):  # 2 of 5 entries, and all
        grow(TreeFeatures(20, breadth=breadth), stream, signs)
        # At the root no entry tells as much as the first, of which every label is a noisy sign.
        at_root = {int(grown.tree.feature[0]) for grown in forests[-1].grown}
        assert (at_root == {0}) == all_alike


def test_trees_are_listed():
    assert FEATURE_MAPS["trees"] is TreeFeatures
    assert LAYERS["trees"] is TreeLayer


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"n_trees": 9}, "n_trees must be a whole number of at least 10, however: n_trees=9"),
        ({"n_trees": 20.0}, "n_trees must be a whole number"),
        ({"min_leaf": 0}, "min_leaf must be a whole number of at least 1, however: min_leaf=0"),
        ({"breadth": 0.5}, "breadth must be a whole number of at least 1, however: breadth=0.5"),
        ({"splits": "worst"}, r"splits must be one of \['best', 'random'\], however: splits='worst'"),
    ],
)
def test_bad_parameters_are_refused(parameters, reason):
    with pytest.raises(ValueError, match=reason):
        TreeFeatures(**parameters)
