import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge as ScikitKernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from rungwise.features import LAYERS, KernelFeatures, KernelLayer, kernel_ridge
from rungwise.features.kernel import directions
from rungwise.features.kernel_ridge import PENALTIES, KernelRidge, Task, gaussian
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


def task(n=45, n_labels=2):
    rows = torch.nn.functional.normalize(torch.randn(n, 4, generator=seeded(0), dtype=torch.float64))
    labels = (rows[:, :1] + 0.3 * torch.randn(n, n_labels, generator=seeded(1), dtype=torch.float64) > 0).double()
    weights = torch.rand(n, generator=seeded(2), dtype=torch.float64) + 0.5
    return Task(rows, labels, weights, torch.arange(n) % 3)


def by_scikit_learn(part, asked, sharpness, penalty):
    """Ridge regression of the deviations from the mean, with all rows as landmarks."""
    labels, weights = part.labels.numpy(), part.weights.numpy()
    mean = np.average(labels, axis=0, weights=weights)
    ridge = ScikitKernelRidge(alpha=penalty * weights.sum(), kernel="rbf", gamma=sharpness)
    ridge.fit(part.rows.numpy(), labels - mean, sample_weight=weights)
    return mean + ridge.predict(asked.numpy())


@pytest.fixture
def _exact(monkeypatch):
    monkeypatch.setattr(kernel_ridge, "_JITTER", 1e-10)


def test_kernel_is_that_of_scikit_learn():
    rows = task().rows
    np.testing.assert_allclose(gaussian(rows, rows[:7], 1.3), rbf_kernel(rows, rows[:7], 1.3), atol=1e-12)


@pytest.mark.usefixtures("_exact")
@pytest.mark.parametrize("sharpness", [0.5, 4.0])
def test_regression_is_that_of_scikit_learn_and_honest_estimates_that_without_the_fold(sharpness):
    whole = task()
    ridge = KernelRidge(whole, whole.rows, sharpness)
    others = torch.nn.functional.normalize(torch.randn(9, 4, generator=seeded(3), dtype=torch.float64))
    found = ridge.mean + gaussian(others, whole.rows, sharpness) @ ridge.weight
    np.testing.assert_allclose(found, by_scikit_learn(whole, others, sharpness, ridge.penalty), atol=1e-6)
    for fold in range(3):
        expected = by_scikit_learn(
            whole.select(whole.fold != fold), whole.rows[whole.fold == fold], sharpness, ridge.penalty
        )
        np.testing.assert_allclose(ridge.honest[whole.fold == fold], expected, atol=1e-6)
    loss = (whole.weights[:, None] * (ridge.honest - whole.labels) ** 2).sum()
    assert ridge.loss == pytest.approx(float(loss))


def test_the_penalty_is_that_of_the_least_honest_loss():
    whole = task()
    ridge = KernelRidge(whole, whole.rows, 2.0)
    place = PENALTIES.index(ridge.penalty)
    assert 0 < place < len(PENALTIES) - 1
    for worse in (PENALTIES[place - 1], PENALTIES[place + 1]):
        honest = torch.empty_like(whole.labels)
        for fold in range(3):
            part = whole.select(whole.fold != fold)
            asked = whole.rows[whole.fold == fold]
            honest[whole.fold == fold] = torch.from_numpy(by_scikit_learn(part, asked, 2.0, worse))
        assert float((whole.weights[:, None] * (honest - whole.labels) ** 2).sum()) > ridge.loss
    assert KernelRidge(whole, whole.rows, 2.0, PENALTIES[place + 1]).penalty == PENALTIES[place + 1]


def test_few_landmarks_give_the_best_function_of_their_kernels():
    whole = task()
    landmarks = whole.rows[:5]
    ridge = KernelRidge(whole, landmarks, 2.0)
    kernels = gaussian(whole.rows, landmarks, 2.0)

    def objective(weight):
        weights = whole.weights[:, None]
        mean = (weights * whole.labels).sum(0) / weights.sum()
        squares = (weights * (mean + kernels @ weight - whole.labels) ** 2).sum() / weights.sum()
        norm = (weight * (gaussian(landmarks, landmarks, 2.0) @ weight)).sum()
        return float(squares + ridge.penalty * norm)

    least = objective(ridge.weight)
    for seed in range(20):
        step = torch.randn(ridge.weight.shape, generator=seeded(seed), dtype=torch.float64)
        assert objective(ridge.weight + 0.05 * step) > least


def test_the_layer_says_of_new_rows_what_was_fitted():
    stream, signs = problem()
    layer = fit(stream, signs).layer
    others = torch.randn(10, 5, generator=seeded(3), dtype=torch.float64)
    rows = directions(others, layer.centre, layer.constant)
    assert torch.allclose(rows.norm(dim=1), torch.ones(10, dtype=torch.float64))
    distances = (rows[:, None] - layer.landmarks).square().sum(2)
    probability = layer.mean + torch.exp(-layer.sharpness * distances) @ layer.weight
    np.testing.assert_allclose(layer(others), 2 * probability.clamp(0, 1) - 1, atol=1e-10)
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
    # One penalty and one sharpness: what is chosen is chosen by all rows.
    monkeypatch.setattr(kernel_ridge, "PENALTIES", (1e-2,))
    monkeypatch.setattr("rungwise.features.kernel._SHARPNESS", (1.0,))
    stream, signs = problem()
    flipped = signs.clone()
    flipped[:20] *= -1
    before, after = fit(stream, signs), fit(stream, flipped)
    difference = (after.honest - before.honest).abs().amax(1)
    assert difference[:20].max() < 1e-9
    assert difference[20:].min() > 1e-6
    assert (after.layer(stream) - before.layer(stream)).abs().max() > 0.1


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
    np.testing.assert_allclose(repeated.honest, weighted.honest[index], atol=1e-8)
    np.testing.assert_allclose(repeated.layer(stream), weighted.layer(stream), atol=1e-8)


def test_weights_count_in_proportion():
    stream, signs = problem()
    weights = torch.rand(60, 1, generator=seeded(2), dtype=torch.float64).expand(60, 3)
    one, thousand = fit(stream, signs, weights=weights), fit(stream, signs, weights=1000 * weights)
    np.testing.assert_allclose(one.honest, thousand.honest, atol=1e-8)


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
    distances = []
    noisy = stream[:, :1] + torch.randn(300, 1, generator=seeded(1), dtype=torch.float64)
    for label in (noisy, torch.sin(3 * stream[:, :1])):
        layer = fit(stream, torch.sign(label)).layer
        distances.append(float(layer.sharpness))
    assert distances[0] < distances[1]


def test_slopes_are_derivatives():
    stream, signs = problem()
    layer = fit(stream, signs).layer
    some = stream[:8].clone().requires_grad_()
    probability = layer._probability(some)
    for label in range(3):
        (gradient,) = torch.autograd.grad(probability[:, label].sum(), some, retain_graph=True)
        found = layer.squared_slopes(stream[:8], torch.tensor([label]))
        np.testing.assert_allclose(found[:, 0], gradient.square().mean(0), rtol=1e-8)


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
