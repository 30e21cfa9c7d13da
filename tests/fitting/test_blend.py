import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import minimize

from rungwise.fitting.blend import _LEAST_SHARE, _PRIOR_EXAMPLES, blend, project_on_simplex
from rungwise.fitting.losses import LOSSES, SquaredLoss

points = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.floats(-5, 5))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noisy(n=200, n_labels=3, noise=(0.5, 1.0, 2.0), seed=0):
    """Return candidates that are the labels plus more and more noise, and the labels."""
    signs = torch.where(torch.rand(n, n_labels, generator=seeded(seed)) > 0.5, 1.0, -1.0).double()
    noises = [scale * torch.randn(n, n_labels, generator=seeded(seed + 1 + i)) for i, scale in enumerate(noise)]
    return torch.stack([signs + one for one in noises]), signs


@settings(deadline=None)
@given(points)
def test_projection_is_the_nearest_point_of_the_simplex(columns):
    projected = project_on_simplex(torch.from_numpy(columns)).numpy()
    assert projected.min() >= 0
    np.testing.assert_allclose(projected.sum(axis=0), 1, atol=1e-12)
    # A point p of a convex set is the nearest to x if and only if (x - p) · (v - p) <= 0 for each of its corners v.
    for point, nearest in zip(columns.T, projected.T, strict=True):
        for corner in np.eye(len(point)):
            assert (point - nearest) @ (corner - nearest) <= 1e-9


def test_points_of_the_simplex_stay_and_two_weights_have_a_closed_form():
    inside = torch.tensor([[0.2, 1.0], [0.3, 0.0], [0.5, 0.0]], dtype=torch.float64)
    assert torch.allclose(project_on_simplex(inside), inside)
    pairs = torch.tensor([[0.9, 3.0, -2.0], [0.5, 1.0, 0.0]], dtype=torch.float64)
    first = ((1 + pairs[0] - pairs[1]) / 2).clamp(0, 1)
    assert torch.allclose(project_on_simplex(pairs), torch.stack([first, 1 - first]))


def objective(weights, candidates, targets, example_weights):
    shares = example_weights / example_weights.sum()
    return shares @ (weights @ candidates - targets) ** 2 / 2


def best_convex(value, n_candidates):
    start = np.full(n_candidates, 1 / n_candidates)
    found = minimize(
        value,
        start,
        method="SLSQP",
        bounds=[(0, 1)] * n_candidates,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success
    return found.x


@pytest.mark.parametrize("seed", range(5))
def test_weights_minimise_the_stated_objective_of_the_squared_loss(seed):
    candidates, signs = noisy(60, 3, (0.7, 0.9, 1.2, 1.5), seed=10 * seed)
    weights = torch.rand(60, 3, generator=seeded(seed)).double() + 0.1
    found = blend(SquaredLoss(), candidates, signs, weights).numpy()
    candidates, signs, weights = candidates.numpy(), signs.numpy(), weights.numpy()

    def loss(shares, label):
        return objective(shares, candidates[:, :, label], signs[:, label], weights[:, label])

    common = best_convex(lambda shares: sum(loss(shares, label) for label in range(3)), 4)
    for label in range(3):
        positive = weights[signs[:, label] > 0, label].sum()
        rarer = min(positive, weights[:, label].sum() - positive)
        strength = loss(np.full(4, 0.25), label) * _PRIOR_EXAMPLES / rarer

        def drawn(shares, label=label, strength=strength):
            return loss(shares, label) + strength / 2 * ((shares - common) ** 2).sum()

        expected = best_convex(drawn, 4)
        expected = np.where(expected < _LEAST_SHARE, 0, expected)
        np.testing.assert_allclose(found[:, label], expected / expected.sum(), atol=2e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_weights_are_convex_and_speak_for_the_only_good_candidate(name):
    candidates, signs = noisy(400, 3, (3.0, 0.1, 3.0))
    share = blend(LOSSES[name](), candidates, signs, torch.ones_like(signs))
    assert share.shape == (3, 3)
    assert (share >= 0).all()
    assert torch.allclose(share.sum(0), torch.ones(3).double())
    assert (share[1] > 0.9).all()


def test_each_label_takes_its_own_candidate():
    good, bad = noisy(400, 2, (0.1, 3.0))[0]
    signs = noisy(400, 2, (0.1, 3.0))[1]
    candidates = torch.stack([torch.stack([good[:, 0], bad[:, 1]], 1), torch.stack([bad[:, 0], good[:, 1]], 1)])
    share = blend(SquaredLoss(), candidates, signs, torch.ones_like(signs))
    assert share[0, 0] > 0.85
    assert share[1, 1] > 0.85


def test_a_rare_label_takes_the_common_weights():
    # Candidate 0 is good for nine labels; for the last, with one or with 200 positives, candidate 1 is.
    shares = {}
    for n_positive in (1, 200):
        signs = torch.where(torch.rand(400, 10, generator=seeded(0)) > 0.5, 1.0, -1.0).double()
        signs[:, 9] = torch.where(torch.arange(400) < n_positive, 1.0, -1.0)
        noise = torch.randn(2, 400, 10, generator=seeded(1)).double()
        scale = torch.full((2, 1, 10), 0.6).double()
        scale[1, :, :9] = scale[0, :, 9] = 0.9
        shares[n_positive] = blend(SquaredLoss(), signs + scale * noise, signs, torch.ones_like(signs))
    common = shares[200][0, :9].mean()
    assert shares[200][0, 9] < common - 0.25
    assert (common - shares[1][0, 9]).abs() < 0.4 * (common - shares[200][0, 9])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_candidates_do_no_harm(name, dtype):
    one, signs = (tensor.to(dtype) for tensor in noisy(50, 2, (1.0,)))
    for candidates in (one.repeat(3, 1, 1), torch.zeros(3, 50, 2, dtype=dtype), signs.repeat(3, 1, 1)):
        share = blend(LOSSES[name](), candidates, signs, torch.ones_like(signs))
        assert torch.isfinite(share).all()
        assert share.sum(0).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_one_candidate_takes_all():
    candidates, signs = noisy(30, 2, (1.0,))
    assert blend(SquaredLoss(), candidates, signs, torch.ones_like(signs)).tolist() == [[1.0, 1.0]]


def test_kinds_that_hardly_speak_are_silent():
    candidates, signs = noisy(300, 3, (0.2, 2.0, 3.0))
    share = blend(SquaredLoss(), candidates, signs, torch.ones_like(signs))
    assert ((share == 0) | (share >= _LEAST_SHARE)).all()
    assert (share == 0).any()


def test_a_label_without_annotations_and_one_class_only_do_no_harm():
    candidates, signs = noisy(50, 3)
    weights = torch.ones_like(signs)
    weights[:, 0] = 0
    signs[:, 1] = 1
    share = blend(SquaredLoss(), candidates, signs, weights)
    assert torch.isfinite(share).all()
    assert torch.allclose(share.sum(0), torch.ones(3).double())
    other = candidates.clone()
    other[:, :, 0] = 99
    assert torch.allclose(blend(SquaredLoss(), other, signs, weights)[:, 1:], share[:, 1:])
