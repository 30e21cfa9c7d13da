import pytest
import torch

from rungwise.fitting.gram import Moments, symmetric_product


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("q", [0, 1, 7, 511, 512, 513, 1023, 1024, 1025])
def test_symmetric_product_is_the_matrix_product(q):
    left = normal(5, q)
    right = left * normal(5, 1, seed=1).abs()
    product = symmetric_product(left, right)
    torch.testing.assert_close(product, left.T @ right, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(product, product.T, rtol=1e-12, atol=1e-12)


def test_moments_are_the_weighted_sums():
    hidden, weights = normal(20, 6), normal(20, seed=1).abs()
    moments = Moments.of(hidden, weights)
    extended = torch.cat([hidden, torch.ones(20, 1, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(moments.gram, torch.einsum("i,ia,ib->ab", weights, extended, extended))
    torch.testing.assert_close(moments.total, weights.sum())
    torch.testing.assert_close(moments.mean_square, (weights @ hidden.square().sum(1)) / weights.sum())


def test_moments_of_folds_add_and_subtract():
    hidden, weights = normal(20, 6), normal(20, seed=1).abs()
    folds = [slice(0, 5), slice(5, 11), slice(11, 20)]
    parts = [Moments.of(hidden[rows], weights[rows]) for rows in folds]
    everything = Moments.of(hidden, weights)
    summed = parts[0] + parts[1] + parts[2]
    torch.testing.assert_close(summed.gram, everything.gram)
    without = everything - parts[1]
    rest = torch.cat([torch.arange(5), torch.arange(11, 20)])
    expected = Moments.of(hidden[rest], weights[rest])
    torch.testing.assert_close(without.gram, expected.gram)
    torch.testing.assert_close(without.total, expected.total)


@pytest.mark.parametrize("curvature", [0.25, 1.0])
def test_factor_is_that_of_the_penalised_mean_with_a_free_constant(curvature):
    moments = Moments.of(normal(20, 6), normal(20, seed=1).abs())
    kept = moments.gram.clone()
    factor = moments.factor(curvature, 0.3)
    penalty = torch.diag(torch.tensor([0.3] * 6 + [0.0], dtype=torch.float64))
    torch.testing.assert_close(factor @ factor.T, curvature * moments.gram / moments.total + penalty)
    assert torch.equal(moments.gram, kept)


def test_dependent_units_without_penalty_have_no_factor():
    column = torch.tensor([1.0, -1.0, 2.0, -2.0], dtype=torch.float64)[:, None]
    moments = Moments.of(torch.cat([column, -column], dim=1), torch.ones(4, dtype=torch.float64))
    assert moments.factor(1.0, 0.0) is None
    assert moments.factor(1.0, 1e-3) is not None
