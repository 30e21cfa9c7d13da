import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from rungwise.fitting.blend import _LEAST_PROBABILITY, _LEAST_SHARE, _PRIOR_EXAMPLES, blend


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def noisy(n=200, n_labels=3, noise=(0.5, 1.0, 2.0), seed=0):
    """Return candidates that expect the labels the better, the less noise they see, and the labels."""
    signs = torch.where(torch.rand(n, n_labels, generator=seeded(seed)) > 0.5, 1.0, -1.0).double()
    noises = [scale * torch.randn(n, n_labels, generator=seeded(seed + 1 + i)) for i, scale in enumerate(noise)]
    # Of a label with normal noise of variance v, x is the log-odds times v / 2.
    expected = [torch.tanh((signs + one) / scale**2) for one, scale in zip(noises, noise, strict=True)]
    return torch.stack(expected), signs


def agreement(candidates, signs):
    """Return the probability that each candidate gave to the labels as they are."""
    return np.clip((1 + signs * candidates) / 2, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)


def best_convex(value, n_candidates):
    found = minimize(
        value,
        np.full(n_candidates, 1 / n_candidates),
        method="SLSQP",
        bounds=[(1e-9, 1)] * n_candidates,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert found.success
    return found.x


@pytest.mark.parametrize("seed", range(5))
def test_weights_reach_the_likelihood_of_the_best(seed):
    candidates, signs = noisy(60, 3, (0.7, 0.9, 1.2, 1.5), seed=10 * seed)
    weights = torch.rand(60, 3, generator=seeded(seed)).double() + 0.1
    found = blend(candidates, signs, weights).numpy()
    given, signs, weights = agreement(candidates.numpy(), signs.numpy()), signs.numpy(), weights.numpy()

    def surprise(shares, label):
        return -weights[:, label] @ np.log(shares @ given[:, :, label])

    common = best_convex(lambda shares: sum(surprise(shares, label) for label in range(3)), 4)
    for label in range(3):
        total, positive = weights[:, label].sum(), weights[signs[:, label] > 0, label].sum()
        prior = common * _PRIOR_EXAMPLES * total / min(positive, total - positive)

        def drawn(shares, label=label, prior=prior):
            return surprise(shares, label) - prior @ np.log(np.maximum(shares, 1e-300))

        best = best_convex(drawn, 4)
        # Expectation maximisation stops a little before weights that should vanish have done so.
        assert surprise(found[:, label], label) <= surprise(best, label) + 0.005 * total
        np.testing.assert_allclose(found[:, label], best, atol=0.1)


def test_weights_are_convex_and_speak_for_the_only_good_candidate():
    candidates, signs = noisy(400, 3, (3.0, 0.3, 3.0))
    share = blend(candidates, signs, torch.ones_like(signs))
    assert share.shape == (3, 3)
    assert (share >= 0).all()
    assert torch.allclose(share.sum(0), torch.ones(3).double())
    assert (share[1] > 0.9).all()


def test_confident_errors_cost_more_than_in_squared_loss():
    # Both candidates are wrong about a tenth of the rows; one says .9, as it should, the other is certain.
    signs = torch.ones(1000, 1).double()
    wrong = torch.where(torch.arange(1000) % 10 == 0, -1.0, 1.0).double()[:, None]
    share = blend(torch.stack([0.8 * wrong, wrong]), signs, torch.ones_like(signs))
    assert share[0, 0] > 0.8


def test_each_label_takes_its_own_candidate():
    good, bad = noisy(400, 2, (0.3, 3.0))[0]
    signs = noisy(400, 2, (0.3, 3.0))[1]
    candidates = torch.stack([torch.stack([good[:, 0], bad[:, 1]], 1), torch.stack([bad[:, 0], good[:, 1]], 1)])
    share = blend(candidates, signs, torch.ones_like(signs))
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
        shares[n_positive] = blend(torch.tanh((signs + scale * noise) / scale**2), signs, torch.ones_like(signs))
    common = shares[200][0, :9].mean()
    assert shares[200][0, 9] < common - 0.25
    assert (common - shares[1][0, 9]).abs() < 0.4 * (common - shares[200][0, 9])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_candidates_do_no_harm(dtype):
    one, signs = (tensor.to(dtype) for tensor in noisy(50, 2, (1.0,)))
    for candidates in (one.repeat(3, 1, 1), torch.zeros(3, 50, 2, dtype=dtype), signs.repeat(3, 1, 1)):
        share = blend(candidates, signs, torch.ones_like(signs))
        assert share.tolist() == [pytest.approx([1 / 3, 1 / 3], abs=1e-5)] * 3


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(4)), st.integers(0, 100))
def test_the_order_of_candidates_and_a_row_of_weight_two_do_not_matter(order, seed):
    candidates, signs = noisy(40, 2, (0.5, 0.8, 1.0, 2.0), seed)
    share = blend(candidates, signs, torch.ones_like(signs))
    assert torch.allclose(blend(candidates[order], signs, torch.ones_like(signs)), share[order])
    weights = torch.ones_like(signs)
    weights[:7] = 2
    twice = torch.cat([torch.arange(40), torch.arange(7)])
    repeated = blend(candidates[:, twice], signs[twice], torch.ones(47, 2).double())
    assert torch.allclose(repeated, blend(candidates, signs, weights))


def test_one_candidate_takes_all():
    candidates, signs = noisy(30, 2, (1.0,))
    assert blend(candidates, signs, torch.ones_like(signs)).tolist() == [[1.0, 1.0]]


def test_kinds_that_hardly_speak_are_silent():
    candidates, signs = noisy(300, 3, (0.4, 2.0, 3.0))
    share = blend(candidates, signs, torch.ones_like(signs))
    assert ((share == 0) | (share >= _LEAST_SHARE)).all()
    assert (share == 0).any()


def test_a_label_without_annotations_and_one_class_only_do_no_harm():
    candidates, signs = noisy(50, 3)
    weights = torch.ones_like(signs)
    weights[:, 0] = 0
    signs[:, 1] = 1
    share = blend(candidates, signs, weights)
    assert torch.isfinite(share).all()
    assert torch.allclose(share.sum(0), torch.ones(3).double())
    other = candidates.clone()
    other[:, :, 0] = 0.99
    assert torch.allclose(blend(other, signs, weights)[:, 1:], share[:, 1:])
