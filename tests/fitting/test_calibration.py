import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from rungwise.fitting.calibration import calibrate, choose_calibration, fit_calibration


def noisy_scores(n=200, n_labels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, n_labels, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, n_labels, generator=generator, dtype=torch.float64)
    weights = torch.rand(n, n_labels, generator=generator, dtype=torch.float64).round(decimals=1)
    return scores, (scores + noise + 0.3).sign(), weights


def test_calibration_is_logistic_regression_on_smoothed_targets():
    scores, targets, weights = noisy_scores()
    slope, intercept = fit_calibration(scores, targets, weights)
    for j in range(3):
        s, w, positive = scores[:, [j]].numpy(), weights[:, j].numpy(), targets[:, j].numpy() > 0
        n_positive, n_negative = w[positive].sum(), w[~positive].sum()
        smoothed = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
        # A soft target is a row of each class, weighted by its share.
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        model.fit(np.vstack([s, s]), np.repeat([1, 0], len(s)), sample_weight=np.r_[w * smoothed, w * (1 - smoothed)])
        assert slope[j].item() == pytest.approx(model.coef_.item(), rel=1e-4)
        assert intercept[j].item() == pytest.approx(model.intercept_.item(), abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_slopes_are_never_negative_and_backward_scores_give_the_frequency(seed):
    scores, targets, weights = noisy_scores(seed=seed)
    slope, intercept = fit_calibration(-scores, targets, weights)
    positive, negative = (weights * (targets > 0)).sum(0), (weights * (targets < 0)).sum(0)
    assert (slope == 0).all()
    torch.testing.assert_close(intercept, ((positive + 1) / (negative + 1)).log())
    assert (fit_calibration(scores, targets, weights)[0] > 0).all()


def test_constant_scores_give_the_frequency():
    _, targets, weights = noisy_scores()
    slope, intercept = fit_calibration(torch.zeros_like(targets), targets, weights)
    positive, negative = (weights * (targets > 0)).sum(0), (weights * (targets < 0)).sum(0)
    frequency = torch.sigmoid(intercept)
    torch.testing.assert_close(frequency, positive / (positive + negative), rtol=0, atol=0.02)
    assert slope.isfinite().all()


def test_scores_that_vary_by_rounding_errors_alone_give_the_frequency():
    scores, targets, weights = noisy_scores()
    slope, intercept = fit_calibration(0.3 + 1e-7 * scores, targets, weights)
    assert (slope == 0).all()
    torch.testing.assert_close(intercept, fit_calibration(torch.zeros_like(scores), targets, weights)[1])
    assert (choose_calibration(0.3 - 1e-7 * scores, targets, weights)[0] == 0).all()


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_calibration_is_as_exact_of_scores_that_vary_little(scale):
    scores, targets, weights = noisy_scores()
    slope, intercept = fit_calibration(scores, targets, weights)
    scaled_slope, scaled_intercept = fit_calibration(0.5 + scale * scores, targets, weights)
    torch.testing.assert_close(scaled_slope * scale, slope, rtol=1e-6, atol=0)
    torch.testing.assert_close(scaled_intercept + 0.5 * scaled_slope, intercept, rtol=0, atol=1e-6)


def test_label_without_errors_has_finite_log_odds_of_the_right_sign():
    targets = torch.tensor([1.0, -1.0] * 50).double()[:, None]
    slope, intercept = fit_calibration(targets, targets, torch.ones_like(targets))
    log_odds = slope * targets + intercept
    assert log_odds.isfinite().all()
    # Smoothed targets: 51/52 and 1/52.
    torch.testing.assert_close(
        torch.sigmoid(log_odds)[:2, 0], torch.tensor([51 / 52, 1 / 52]).double(), rtol=0, atol=1e-6
    )


def test_scale_of_scores_does_not_matter():
    scores, targets, weights = noisy_scores()
    slope, intercept = fit_calibration(scores, targets, weights)
    scaled_slope, scaled_intercept = fit_calibration(100 * scores, targets, weights)
    torch.testing.assert_close(scaled_slope * 100, slope, rtol=1e-5, atol=0)
    torch.testing.assert_close(scaled_intercept, intercept, rtol=0, atol=1e-5)


def test_unannotated_entries_do_not_matter_and_single_precision_is_read():
    scores, targets, weights = noisy_scores()
    expected = fit_calibration(scores, targets, weights)
    garbled = torch.where(weights == 0, -targets, targets)
    for one, other in zip(fit_calibration(scores, garbled, weights), expected, strict=True):
        torch.testing.assert_close(one, other)
    assert fit_calibration(scores.float(), targets.float(), weights.float())[0].dtype == torch.float64


def test_rare_labels_share_a_calibration_that_keeps_their_ranking():
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(400, 30, generator=generator, dtype=torch.float64) ** 3 / 50
    probability[:, 0] = torch.rand(400, generator=generator, dtype=torch.float64)
    targets = torch.where(torch.rand(400, 30, generator=generator, dtype=torch.float64) < probability, 1.0, -1.0)
    weights = torch.ones_like(targets)
    few = ((targets > 0).sum(0) > 0) & ((targets > 0).sum(0) < 4)
    assert few.sum() > 10
    assert (fit_calibration(2 * probability - 1, targets, weights)[0][few] == 0).any()
    calibration = choose_calibration(2 * probability - 1, targets, weights)
    assert (calibration[0, few] > 0).all()
    assert (calibration[:, few] == calibration[:, few][:, :1]).all()
    torch.testing.assert_close(
        calibration[:, :1], choose_calibration(*(values[:, :1] for values in (2 * probability - 1, targets, weights)))
    )


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (0.001, -0.9), (0.3, -4), (100, 0)])
def test_scores_that_rank_backwards_on_honest_rows_keep_their_order_in_log_odds_that_hardly_differ(scale, shift):
    scores, targets, weights = noisy_scores()
    scores = shift - scale * torch.tanh(scores)
    weights[:, 2] = 0  # a label that is nowhere annotated
    _, prior = fit_calibration(scores, targets, weights)
    calibration = choose_calibration(scores, targets, weights)
    log_odds = calibrate(scores, calibration)
    assert (log_odds[:, :2].argsort(dim=0) == scores[:, :2].argsort(dim=0)).all()
    share = weights / weights.sum(0)
    mean = (share * log_odds).sum(0)
    torch.testing.assert_close(mean[:2], prior[:2])
    deviation = (share * (log_odds - mean).square()).sum(0).sqrt()
    torch.testing.assert_close(deviation[:2], torch.full_like(prior[:2], 0.1))
    assert (log_odds[:, 2] == 0).all()


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_label_of_one_class_has_one_probability(value):
    scores, targets, weights = noisy_scores()
    targets = torch.full_like(targets, value)
    assert (choose_calibration(scores, targets, weights)[0] == 0).all()


def test_rarely_positive_and_rarely_negative_labels_share_slopes_and_constant_scores_keep_their_frequency():
    generator = torch.Generator().manual_seed(1)
    chance = torch.rand(1000, 8, generator=generator, dtype=torch.float64) / 1000
    chance[:2] = 0.4  # of these rows each label has both
    targets = -torch.ones(1000, 8, dtype=torch.float64)
    targets[:2] = 1
    scores = 2 * chance - 1
    side = torch.tensor([1.0, -1.0] * 4).double()
    weights = torch.ones_like(targets)
    slope, intercept, _ = choose_calibration(scores * side, targets * side, weights)
    assert (slope == slope[0]).all()
    assert slope[0] > 0
    torch.testing.assert_close(intercept * side, intercept[0].expand(8))

    constant = torch.zeros(1000, 2).double()
    targets = torch.where(torch.arange(1000)[:, None] < torch.tensor([1, 997]), 1.0, -1.0).double()
    probability = torch.sigmoid(choose_calibration(constant, targets, torch.ones_like(constant))[1])
    torch.testing.assert_close(probability, torch.tensor([0.001, 0.997]).double(), rtol=0, atol=0.002)
