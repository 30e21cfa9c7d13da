from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from rungwise.features import LAYERS, KernelFeatures, KernelLayer, kernel, kernel_ridge
from rungwise.features.kernel_ridge import PENALTIES, Geometry, Space, Task, fit_folds, gaussian
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def problem(n=60, n_entries=5, n_labels=3, dtype=torch.float64):
    stream = torch.randn(n, n_entries, generator=seeded(0), dtype=dtype)
    noise = torch.randn(n, n_labels, generator=seeded(1), dtype=dtype)
    signs = torch.where(stream[:, :1] - stream[:, 1:2] + 0.5 * noise > 0, 1.0, -1.0).to(dtype)
    return stream, signs


def thirds(n):
    return Grouping.apart([slice(0, n // 3), slice(n // 3, 2 * n // 3), slice(2 * n // 3, n)])


def fit(stream, signs, features=None, grouping=None, weights=None, loss=None, seed=7):
    weights = torch.ones_like(signs) if weights is None else weights
    objective = Objective(loss or SquaredLoss(), stream[:, :0], signs, weights, torch.zeros_like(signs))
    grouping = grouping or thirds(len(stream))
    return (features or KernelFeatures()).fit_honest(stream, seeded(seed), objective, grouping, standing=None)


def make_task(n=45, n_labels=2):
    entries = torch.randn(n, 4, generator=seeded(0), dtype=torch.float64)
    labels = (entries[:, :1] + 0.5 * torch.randn(n, n_labels, generator=seeded(1), dtype=torch.float64) > 0).double()
    weights = torch.rand(n, generator=seeded(2), dtype=torch.float64) + 0.5
    return Task(entries, labels, weights, torch.arange(n) % 3)


def geometry_of(entries, scale):
    return Geometry.of(*torch.var_mean(entries, 0, correction=0), scale)


def space_of(task, landmarks=None, sharpness=1.0):
    scale = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    return Space(geometry_of(task.entries, scale), task.entries if landmarks is None else landmarks, sharpness)


def by_scikit_learn(space, part, asked, penalty):
    """Ridge regression of the deviations from the mean, with all rows as landmarks."""
    labels, weights = part.labels.numpy(), part.weights.numpy()
    mean = np.average(labels, axis=0, weights=weights)
    ridge = KernelRidge(alpha=penalty * weights.sum(), kernel="rbf", gamma=float(space.sharpness))
    ridge.fit(space.geometry.directions(part.entries), labels - mean, sample_weight=weights)
    return mean + ridge.predict(space.geometry.directions(asked))


@pytest.fixture
def _exact(monkeypatch):
    monkeypatch.setattr(kernel_ridge, "_JITTER", 1e-10)


def test_rows_are_compared_by_their_direction():
    task = make_task()
    space = space_of(task)
    centred = (task.entries - task.entries.mean(0)) * space.geometry.scale
    length = centred.square().sum(1).mean().sqrt()
    rows = torch.cat([centred, 0.5 * length * torch.ones(45, 1)], dim=1)
    rows = rows / rows.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(space.geometry.directions(task.entries), rows, atol=1e-12)
    np.testing.assert_allclose(gaussian(rows, rows[:7], 1.3), rbf_kernel(rows, rows[:7], 1.3), atol=1e-12)
    square = (rows[:, None] - rows).square().sum(2)
    assert float(space.sharpness * square[~torch.eye(45, dtype=torch.bool)].median()) == pytest.approx(1.0)


@pytest.mark.usefixtures("_exact")
@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_regression_is_that_of_scikit_learn_and_honest_estimates_that_without_the_fold(sharpness):
    task = make_task()
    space = space_of(task, sharpness=sharpness)
    found = fit_folds(task, [space] * 4)
    others = torch.randn(9, 4, generator=seeded(3), dtype=torch.float64)
    expected = by_scikit_learn(space, task, others, found.penalty)
    np.testing.assert_allclose(found.functions[-1](others), expected, atol=1e-6)
    for fold in range(3):
        part = task.select(task.fold != fold)
        expected = by_scikit_learn(space, part, task.entries[task.fold == fold], found.penalty)
        np.testing.assert_allclose(found.honest[task.fold == fold], expected, atol=1e-6)
    loss = (task.weights[:, None] * (found.honest - task.labels) ** 2).sum()
    assert found.loss == pytest.approx(float(loss))


def test_folds_have_their_own_spaces():
    task = make_task()
    spaces = [space_of(task, sharpness=sharpness) for sharpness in (0.5, 1.0, 2.0, 3.0)]
    found = fit_folds(task, spaces)
    for fold, space in enumerate(spaces):
        function = found.functions[fold]
        assert function.sharpness == space.sharpness
        alone = fit_folds(task, [space] * 4, found.penalty)
        if alone.penalty == found.penalty and fold < 3:
            own = task.fold == fold
            np.testing.assert_allclose(found.honest[own], alone.honest[own], atol=1e-9)
            np.testing.assert_allclose(found.honest[own], function(task.entries[own]), atol=1e-9)


def test_folds_that_share_a_space_are_fitted_as_if_each_had_its_own():
    task = replace(make_task(), fold=torch.arange(45) % 4)
    shared, other = space_of(task), space_of(task, sharpness=2.0)
    together = fit_folds(task, [shared, shared, other, shared, shared])
    apart = fit_folds(task, [copy(space) for space in (shared, shared, other, shared, shared)])
    np.testing.assert_allclose(together.honest, apart.honest, atol=1e-9)
    for one, another in zip(together.functions, apart.functions, strict=True):
        np.testing.assert_allclose(one.weight, another.weight, rtol=1e-5, atol=1e-8)


def test_the_penalty_is_that_of_the_least_honest_loss():
    task = make_task()
    space = space_of(task)
    found = fit_folds(task, [space] * 4)
    place = PENALTIES.index(found.penalty)
    assert 0 < place < len(PENALTIES) - 1
    for worse in (PENALTIES[place - 1], PENALTIES[place + 1]):
        honest = torch.empty_like(task.labels)
        for fold in range(3):
            part, asked = task.select(task.fold != fold), task.entries[task.fold == fold]
            honest[task.fold == fold] = torch.from_numpy(by_scikit_learn(space, part, asked, worse))
        assert float((task.weights[:, None] * (honest - task.labels) ** 2).sum()) > found.loss
    for start in PENALTIES:
        assert fit_folds(task, [space] * 4, start).penalty == found.penalty


def test_few_landmarks_give_the_best_function_of_their_kernels():
    task = make_task()
    space = space_of(task, task.entries[:5])
    found = fit_folds(task, [space] * 4)
    function, landmarks = found.functions[-1], space.landmarks
    bumps = gaussian(space.geometry.directions(task.entries), landmarks, space.sharpness)

    def objective(weight):
        weights = task.weights[:, None]
        mean = (weights * task.labels).sum(0) / weights.sum()
        squares = (weights * (mean + bumps @ weight - task.labels) ** 2).sum() / weights.sum()
        norm = (weight * (gaussian(landmarks, landmarks, space.sharpness) @ weight)).sum()
        return float(squares + found.penalty * norm)

    least = objective(function.weight)
    for seed in range(20):
        step = torch.randn(function.weight.shape, generator=seeded(seed), dtype=torch.float64)
        assert objective(function.weight + 0.05 * step) > least


def test_sums_over_chunks_are_those_of_all_rows(monkeypatch):
    task = make_task()
    whole = fit_folds(task, [space_of(task)] * 4)
    monkeypatch.setattr(kernel_ridge, "_CHUNK", 7)
    chunked = fit_folds(task, [space_of(task)] * 4)
    np.testing.assert_allclose(chunked.honest, whole.honest, atol=1e-9)
    np.testing.assert_allclose(chunked.functions[-1].weight, whole.functions[-1].weight, atol=1e-6)


def test_a_fold_that_alone_has_weight_is_told_nothing_of_its_labels():
    task = make_task()
    alone = replace(task, weights=task.weights * (task.fold == 0))
    space = space_of(task)
    found = fit_folds(alone, [space] * 4)
    assert (found.honest[task.fold == 0] == 0.5).all()


def test_sharpness_is_in_units_of_distances_between_landmarks_that_differ():
    task = make_task()
    copies = torch.cat([task.entries[:3]] * 4)
    square = space_of(task, task.entries[:3]).sharpness
    assert float(space_of(task, copies).sharpness) == pytest.approx(float(square))
    alike = space_of(task, task.entries[:1].expand(5, -1))
    assert float(alike.sharpness) == 1.0
    assert fit_folds(task, [alike] * 4).loss > 0


def test_rows_that_nearly_coincide_are_no_error_in_single_precision():
    base = torch.randn(20, 6, generator=seeded(0)).repeat(100, 1)
    entries = base + 1e-6 * torch.randn(2000, 6, generator=seeded(1))
    task = Task(entries, (base[:, :1] > 0).float(), torch.ones(2000), torch.arange(2000) // 20 % 5)
    geometry = geometry_of(entries, torch.ones(6))
    found = fit_folds(task, [Space(geometry, entries[:500], 3.0)] * 6)
    assert found.loss < 1.0


def test_the_layer_says_of_new_rows_what_was_fitted():
    stream, signs = problem()
    layer = fit(stream, signs).layer
    others = torch.randn(10, 5, generator=seeded(3), dtype=torch.float64)
    rows = layer.function.geometry.directions(others)
    distances = (rows[:, None] - layer.landmarks).square().sum(2)
    probability = layer.mean + torch.exp(-layer.sharpness * distances) @ layer.weight
    np.testing.assert_allclose(layer(others), 2 * probability.clamp(0, 1) - 1, atol=1e-5)
    assert layer(stream[:0]).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_honest_opinions_are_as_good_as_those_about_fresh_rows(dtype):
    stream, signs = problem(900, dtype=dtype)
    opinions = fit(stream[:300], signs[:300])
    assert opinions.honest.dtype == opinions.layer(stream[300:]).dtype == dtype
    honest = (opinions.honest - signs[:300]).square().mean()
    fresh = (opinions.layer(stream[300:]) - signs[300:]).square().mean()
    constant = (signs[300:] - signs[:300].mean(0)).square().mean()
    assert fresh < 0.6 * constant
    assert abs(honest - fresh) < 0.1 * constant


def test_labels_of_a_fold_do_not_move_what_is_said_of_it(monkeypatch):
    # One penalty and one sharpness: what is chosen is chosen by all rows. Scales are not.
    monkeypatch.setattr(kernel_ridge, "PENALTIES", (1e-2,))
    monkeypatch.setattr(kernel, "_SHARPNESS", (1.0,))
    stream, signs = problem()
    flipped = signs.clone()
    flipped[:20] *= -1
    before, after = fit(stream, signs), fit(stream, flipped)
    difference = (after.honest - before.honest).abs().amax(1)
    assert difference[:20].max() < 1e-5
    assert difference[20:].min() > 1e-5
    assert (after.layer(stream) - before.layer(stream)).abs().max() > 0.1


def test_labels_of_a_fold_do_not_move_it_through_equal_rows_of_other_groups(monkeypatch):
    monkeypatch.setattr(kernel_ridge, "PENALTIES", (1e-2,))
    monkeypatch.setattr(kernel, "_SHARPNESS", (1.0,))
    stream, signs = problem()
    content = torch.arange(60) % 45  # the last 15 rows, in another fold, equal the first
    grouping = Grouping(thirds(60).folds, torch.arange(60) // 5, content)
    flipped = signs.clone()
    flipped[40:] *= -1
    before, after = (fit(stream[content], labels, grouping=grouping).honest for labels in (signs, flipped))
    assert (after - before)[40:].abs().max() < 1e-5
    assert (after - before)[:40].abs().max() > 0.1


def test_few_annotated_rows_among_many_are_found(monkeypatch):
    monkeypatch.setattr(kernel, "_FEW_ROWS", 20)
    stream, _ = problem(5000, 3)
    signs = torch.sign(stream[:, :1])
    weights = torch.zeros_like(signs)
    weights[::250] = 1
    scale = fit(stream, signs, weights=weights).layer.scale
    assert scale[0] > 1.2 * scale[1:].max()


def test_columns_keep_their_scale_if_nothing_is_learned():
    stream, signs = problem()
    assert torch.equal(fit(stream, torch.ones_like(signs)).layer.scale, torch.ones(5, dtype=torch.float64))


def test_columns_that_matter_count_more_than_others():
    stream, signs = problem(300, 30)
    scale = fit(stream, signs).layer.scale
    assert scale.square().mean() == pytest.approx(1.0)
    assert scale[:2].min() > 2 * scale[2:].max()


def test_scales_are_roots_of_slopes_of_labels_that_count_alike():
    task = make_task()
    trial = fit_folds(task, [space_of(task, task.entries[:20])] * 4)
    scales = kernel._scales(trial, task.entries[:15], seeded(0))
    for function, scale in zip(trial.functions, scales, strict=True):
        variance = function.mean * (1 - function.mean)
        slope = (function.squared_slopes(task.entries[:15]) / variance).sum(1).sqrt()
        expected = slope.sqrt() / slope.mean().sqrt()
        np.testing.assert_allclose(scale, expected, rtol=1e-6)


def test_rare_labels_have_their_say_about_columns():
    stream = torch.randn(600, 20, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream[:, :2] > torch.tensor([0.0, 1.8]), 1.0, -1.0).double()
    scale = fit(stream, signs).layer.scale
    assert scale[1] > 1.5 * scale[2:].max()


def test_scales_of_many_labels_are_about_those_of_each_alone():
    # Random sums of labels stand for the labels.
    stream, signs = problem(300, 10, n_labels=1)
    alone = fit(stream, signs).layer.scale
    many = fit(stream, signs.expand(-1, 40).contiguous()).layer.scale
    np.testing.assert_allclose(many, alone, rtol=0.2)


def test_copies_are_one_row_of_more_weight():
    stream, signs = problem(50)
    index = torch.arange(50).repeat_interleave(torch.arange(50) % 3 + 1)
    fold_of = torch.arange(50) * 3 // 50
    ends = [int((fold_of[index] <= fold).sum()) for fold in range(3)]
    folds = [slice(start, stop) for start, stop in zip([0, *ends[:2]], ends, strict=True)]
    repeated = fit(stream[index], signs[index], grouping=Grouping(folds, index, index))
    weights = (torch.arange(50) % 3 + 1).double()[:, None].expand(50, 3)
    ends = [int((fold_of <= fold).sum()) for fold in range(3)]
    folds = [slice(start, stop) for start, stop in zip([0, *ends[:2]], ends, strict=True)]
    weighted = fit(stream, signs, grouping=Grouping.apart(folds), weights=weights)
    np.testing.assert_allclose(repeated.honest, weighted.honest[index], atol=1e-4)
    np.testing.assert_allclose(repeated.layer(stream), weighted.layer(stream), atol=1e-4)


def test_weights_count_in_proportion():
    stream, signs = problem()
    weights = torch.rand(60, 1, generator=seeded(2), dtype=torch.float64).expand(60, 3)
    one, thousand = fit(stream, signs, weights=weights), fit(stream, signs, weights=1000 * weights)
    np.testing.assert_allclose(one.honest, thousand.honest, atol=1e-4)


def test_adds_up_what_many_columns_say_a_little_about():
    stream = torch.randn(1000, 60, generator=seeded(0), dtype=torch.float64)
    signs = torch.where(stream.sum(1, keepdim=True) > 0, 1.0, -1.0).double()
    layer = fit(stream[:400], signs[:400]).layer
    assert float((layer(stream[400:]) * signs[400:] < 0).double().mean()) < 0.12


def test_learns_what_no_linear_readout_can():
    stream = torch.randn(600, 2, generator=seeded(0), dtype=torch.float64)
    signs = torch.sign(stream[:, :1] * stream[:, 1:])
    layer = fit(stream[:300], signs[:300]).layer
    assert float((layer(stream[300:]) * signs[300:] < 0).double().mean()) < 0.1


def test_bumps_are_as_sharp_as_the_labels_are_local():
    stream, _ = problem(300, 2)
    noisy = stream[:, :1] + torch.randn(300, 1, generator=seeded(1), dtype=torch.float64)
    smooth, local = (fit(stream, torch.sign(label)).layer for label in (noisy, torch.sin(4 * stream).prod(1, True)))
    assert smooth.sharpness < local.sharpness


def test_slopes_are_derivatives():
    stream, signs = problem()
    function = fit(stream, signs).layer.function
    some = stream[:8].clone().requires_grad_()
    values, found = function(some), function.squared_slopes(stream[:8])
    for label in range(3):
        (gradient,) = torch.autograd.grad(values[:, label].sum(), some, retain_graph=True)
        np.testing.assert_allclose(found[:, label], gradient.square().mean(0), rtol=1e-8)


def test_entries_that_matter_are_the_most_important():
    stream, signs = problem(300)
    importance = fit(stream, signs).importance(torch.tensor([0, 2]))
    assert importance.shape == (5, 2)
    assert (importance[:2].amin(0) > 3 * importance[2:].amax(0)).all()


def test_under_the_logistic_loss_opinions_are_log_odds():
    stream, signs = problem()
    clipped, odds = (fit(stream, signs, loss=loss()) for loss in (SquaredLoss, LogisticLoss))
    probability = ((1 + clipped.layer(stream)) / 2).clamp(1e-3, 1 - 1e-3)
    np.testing.assert_allclose(torch.sigmoid(odds.layer(stream)), probability, atol=1e-9)


def test_layer_is_built_again_from_its_config():
    stream, signs = problem()
    layer = fit(stream, signs).layer
    again = LAYERS["kernel"].from_config(**layer.config).double()
    again.load_state_dict(layer.state_dict())
    assert isinstance(again, KernelLayer)
    assert torch.equal(again(stream), layer(stream))


@pytest.mark.parametrize("n_entries", [1, 100])
def test_rows_that_are_all_alike_are_no_error(n_entries):
    _, signs = problem(12)
    stream = torch.ones(12, n_entries, dtype=torch.float64)
    honest = fit(
        stream, signs, grouping=Grouping([slice(0, 6), slice(6, 12)], torch.arange(12), torch.zeros(12).long())
    )
    assert honest.honest.isfinite().all()


def test_number_of_landmarks_is_checked():
    with pytest.raises(ValueError, match="n_landmarks"):
        KernelFeatures(0)
    stream, signs = problem()
    assert len(fit(stream, signs, KernelFeatures(17)).layer.landmarks) == 17
