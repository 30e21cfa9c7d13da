import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from rungwise.fitting.calibration import calibrate, fit_calibration, stretch


def noisy_estimates(n=200, n_labels=3, seed=0):
    """Estimates in [-1, 1], signs that are likelier the more they say so, and weights of which some are 0."""
    generator = torch.Generator().manual_seed(seed)
    log_odds = torch.randn(n, n_labels, generator=generator, dtype=torch.float64)
    noise = torch.logit(torch.rand(n, n_labels, generator=generator, dtype=torch.float64))
    weights = torch.rand(n, n_labels, generator=generator, dtype=torch.float64).round(decimals=1)
    return torch.tanh(log_odds / 2), (1.5 * log_odds + noise + 0.3).sign(), weights


def rarely_positive(n=400, n_labels=30, seed=0):
    """Probabilities as estimates, at most a fiftieth but those of the first label, and labels drawn from them."""
    generator = torch.Generator().manual_seed(seed)
    probability = torch.rand(n, n_labels, generator=generator, dtype=torch.float64) ** 3 / 50
    probability[:, 0] = torch.rand(n, generator=generator, dtype=torch.float64)
    drawn = torch.rand(n, n_labels, generator=generator, dtype=torch.float64) < probability
    return 2 * probability - 1, torch.where(drawn, 1.0, -1.0).double()


def likeliest(scores, positive, weights, spread):
    """SciPy's likeliest a and b of sigmoid(a s + b) under the priors, and minus the log-evidence of each label's a."""
    n_labels = scores.shape[1]

    def losses(theta):
        a, b, common = theta[:n_labels], theta[n_labels:-1], theta[-1]
        log_odds = a * scores + b
        unlikeliness = (weights * (np.logaddexp(0, log_odds) - positive * log_odds)).sum(0)
        return unlikeliness + ((a - common) ** 2 / spread**2 + b**2 / 9) / 2

    start = np.repeat([1.0, 0.0, 1.0], [n_labels, n_labels, 1])
    found = minimize(lambda theta: losses(theta).sum() + (theta[-1] - 1) ** 2 / 2, start, options={"gtol": 1e-5}).x
    a, b = found[:n_labels], found[n_labels:-1]
    probability = 1 / (1 + np.exp(-(a * scores + b)))
    curvature = weights * probability * (1 - probability)
    bend_b, both = curvature.sum(0) + 1 / 9, (curvature * scores).sum(0)
    bend_a = (curvature * scores**2).sum(0) + spread**-2 - both**2 / bend_b
    return a, b, losses(found) + np.log(bend_a * spread**2) / 2


def chosen(fits):
    """Return which of some fits each label has: that of all labels together, or one of its own that is likelier."""
    loss = np.stack([fit[2] for fit in fits])
    together = 0
    for at, total in enumerate(loss.sum(1)):
        together = at if total < loss[together].sum() - 1 else together
    return np.where(loss.min(0) < loss[together] - 1, loss.argmin(0), together)


def bent(estimates, bend):
    within = np.clip(estimates, -1, 1)
    inner = np.clip(within, -bend, bend)
    return 2 * np.arctanh(inner) + 2 / (1 - bend**2) * (within - inner) + 2 * (estimates - within)


@pytest.mark.parametrize(("differ", "spread"), [([1, 1, 1, 1], 0.25), ([0.3, 3, 0.6, 2], 1.0)])
def test_slopes_and_intercepts_of_log_odds_are_the_likeliest(differ, spread):
    estimates, targets, weights = noisy_estimates(n=500, n_labels=4)
    scores = torch.atanh(estimates) / torch.tensor(differ)
    slope, intercept, bend = fit_calibration(scores, targets, weights, "tanh")
    expected = likeliest(scores.numpy(), (targets > 0).numpy(), weights.numpy(), spread)
    np.testing.assert_allclose(slope, expected[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(intercept, expected[1], rtol=0, atol=1e-4)
    assert (bend == 0).all()


@pytest.mark.parametrize("scale", [0.5, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_bend_is_the_likeliest_of_all_labels_together_or_a_clearly_likelier_one_of_a_label(scale, seed):
    estimates, targets, weights = noisy_estimates(n=400, seed=seed)
    estimates[:, 0] *= scale
    found = fit_calibration(estimates, targets, weights, "clip")
    positive, bends, labels = (targets > 0).numpy(), (0.3, 0.7, 0.9, 0.98), range(3)
    least = np.inf
    for spread in (0.25, 0.5, 1.0):
        fits = [likeliest(bent(estimates.numpy(), bend), positive, weights.numpy(), spread) for bend in bends]
        best = chosen(fits)
        total = sum(fits[best[j]][2][j] for j in labels)
        if total < least:
            least = total
            expected = [[fits[best[j]][0][j], fits[best[j]][1][j], bends[best[j]]] for j in labels]
    np.testing.assert_allclose(found.T, expected, rtol=0, atol=1e-4)


def test_sure_estimates_are_believed_and_those_that_often_pass_one_are_bent_early():
    generator = torch.Generator().manual_seed(0)
    log_odds = 3 * torch.randn(5000, 2, generator=generator, dtype=torch.float64)
    drawn = torch.rand(5000, 2, generator=generator, dtype=torch.float64) < torch.sigmoid(log_odds)
    targets = torch.where(drawn, 1.0, -1.0).double()
    ones = torch.ones_like(targets)
    assert (fit_calibration(torch.tanh(log_odds / 2), targets, ones, "clip")[2] == 0.98).all()
    assert (fit_calibration(log_odds / 3, targets, ones, "clip")[2] == 0.3).all()
    # A label may have a bend of its own.
    mixed = torch.cat([torch.tanh(log_odds[:, :1] / 2), log_odds[:, 1:] / 3], dim=1)
    assert fit_calibration(mixed, targets, ones, "clip")[2].tolist() == [0.98, 0.3]


def test_log_odds_are_taken_as_they_are():
    log_odds = torch.tensor([[-3.0], [0.5], [7.0]]).double()
    calibration = torch.tensor([[2.0], [1.0], [0.0]]).double()
    torch.testing.assert_close(calibrate(log_odds, calibration), 2 * log_odds + 1)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_very_different_scales_are_fitted_to_the_end(seed):
    # Nothing gains any more: the equations hold, with the common slope that the labels' slopes say, for one spread.
    generator = torch.Generator().manual_seed(seed)
    targets = torch.where(torch.rand(300, 5, generator=generator) < 0.4, 1.0, -1.0).double()
    scale = torch.tensor([0.01, 0.1, 1, 3, 10]).double()
    scores = scale * (targets + 2 * torch.randn(300, 5, generator=generator, dtype=torch.float64))
    slope, intercept, _ = fit_calibration(scores, targets, torch.ones_like(scores), "tanh")
    common = (slope.sum() + 1) / (5 + 1)
    residual = torch.sigmoid(slope * scores + intercept) - (targets > 0).double()
    assert (slope > 0.01).all()
    by_slope, by_intercept = (residual * scores).sum(0) + slope - common, residual.sum(0) + intercept / 9
    assert by_slope.abs().max() < 1e-3
    assert by_intercept.abs().max() < 1e-3


@pytest.mark.parametrize("link", ["clip", "tanh"])
def test_recoding_a_label_recodes_its_log_odds_and_leaves_the_others(link):
    estimates, targets, weights = noisy_estimates()
    sides = torch.tensor([1.0, -1.0, 1.0]).double()
    log_odds = calibrate(estimates, fit_calibration(estimates, targets, weights, link))
    recoded = fit_calibration(sides * estimates, sides * targets, weights, link)
    torch.testing.assert_close(calibrate(sides * estimates, recoded), sides * log_odds)


@pytest.mark.parametrize("link", ["clip", "tanh"])
def test_estimates_that_are_calibrated_stay_nearly_as_they_are(link):
    generator = torch.Generator().manual_seed(0)
    log_odds = 2 * torch.randn(20_000, 4, generator=generator, dtype=torch.float64)
    drawn = torch.rand(20_000, 4, generator=generator, dtype=torch.float64) < torch.sigmoid(log_odds)
    targets = torch.where(drawn, 1.0, -1.0).double()
    estimates = torch.tanh(log_odds / 2) if link == "clip" else log_odds
    calibration = fit_calibration(estimates, targets, torch.ones_like(targets), link)
    torch.testing.assert_close(calibration[0], torch.ones(4).double(), rtol=0, atol=0.06)
    torch.testing.assert_close(calibration[1], torch.zeros(4).double(), rtol=0, atol=0.06)


@given(estimate=st.floats(-3, 3), more=st.floats(1e-6, 1))
@settings(deadline=None)
def test_stretched_estimates_keep_their_order_and_are_log_odds(estimate, more):
    bend = torch.tensor(0.9, dtype=torch.float64)
    low, high = stretch(torch.tensor([estimate, estimate + more], dtype=torch.float64), bend)
    assert low < high
    if abs(estimate) <= 0.9:
        assert low.item() == pytest.approx(2 * np.arctanh(estimate), abs=1e-12)


def test_backward_estimates_keep_their_order_in_log_odds_that_hardly_differ():
    estimates, targets, weights = noisy_estimates(n=2000)
    backward = torch.cat([estimates, -estimates[:, :1]], dim=1)
    targets, weights = (torch.cat([values, values[:, :1]], dim=1) for values in (targets, weights))
    calibration = fit_calibration(backward, targets, weights, "clip")
    log_odds = calibrate(backward, calibration)[:, 3]
    assert (log_odds.argsort() == backward[:, 3].argsort()).all()
    assert log_odds.std() < 0.05
    share = weights[:, 3] / weights[:, 3].sum()
    frequency = (share * (targets[:, 3] > 0)).sum()
    assert (share * torch.sigmoid(log_odds)).sum().item() == pytest.approx(frequency.item(), abs=0.002)


def test_labels_that_all_rank_backwards_keep_their_order():
    estimates, targets, weights = noisy_estimates(n=2000)
    assert (fit_calibration(-estimates, targets, weights, "clip")[0] > 0).all()


def test_useless_labels_do_not_hush_one_that_is_told():
    estimates, targets, weights = noisy_estimates(n=300, n_labels=51)
    generator = torch.Generator().manual_seed(1)
    targets[:, 1:] = torch.where(torch.rand(300, 50, generator=generator) < 0.5, 1.0, -1.0).double()
    slope = fit_calibration(estimates, targets, weights, "clip")[0]
    alone = fit_calibration(*(values[:, :1] for values in (estimates, targets, weights)), "clip")[0]
    assert slope[0] > 0.5 * alone[0]
    assert slope[1:].median() < 0.3


def test_rare_labels_take_nearly_the_slope_of_others_whatever_their_few_examples_say():
    estimates, targets = rarely_positive()
    few = ((targets > 0).sum(0) > 0) & ((targets > 0).sum(0) < 4)
    assert few.sum() > 10
    slope = fit_calibration(estimates, targets, torch.ones_like(targets), "clip")[0]
    assert ((slope / slope[0])[few] - 1).abs().max() < 0.4


def test_constant_estimates_give_the_frequency_and_do_not_speak_for_others():
    estimates, targets, weights = noisy_estimates()
    expected = fit_calibration(estimates, targets, weights, "clip")
    constant = 0.3 - 1e-7 * estimates[:, :1]
    rare = torch.where(torch.arange(200) < 3, 1.0, -1.0).double()[:, None]
    calibration = fit_calibration(
        torch.cat([constant, estimates], dim=1),
        torch.cat([rare, targets], dim=1),
        torch.cat([torch.ones_like(rare), weights], dim=1),
        "clip",
    )
    assert calibration[0, 0] == 0
    assert torch.sigmoid(calibration[1, 0]).item() == pytest.approx(4 / 202)
    torch.testing.assert_close(calibration[:, 1:], expected)


def test_label_without_errors_has_finite_log_odds_that_grow_with_its_examples():
    log_odds = []
    for n in (10, 100, 1000):
        targets = torch.tensor([1.0, -1.0]).repeat(n).double()[:, None]
        calibration = fit_calibration(targets, targets, torch.ones_like(targets), "clip")
        log_odds.append(calibrate(targets, calibration)[0, 0].item())
    assert 3 < log_odds[0] < log_odds[1] < log_odds[2] < 20


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_label_of_one_class_is_about_as_likely_as_its_estimates_say(value):
    estimates, targets = rarely_positive()
    targets[:, 1] = -1
    calibration = fit_calibration(value * -estimates, value * -targets, torch.ones_like(targets), "clip")
    probability = torch.sigmoid(calibrate(value * -estimates, calibration))[:, 1]
    said = (1 + value * -estimates[:, 1]) / 2
    assert (probability - said).abs().max() < 0.03


def test_unannotated_entries_do_not_matter_and_single_precision_is_read():
    estimates, targets, weights = noisy_estimates()
    weights[:, 2] = 0  # a label that is nowhere annotated
    expected = fit_calibration(estimates, targets, weights, "clip")
    garbled = torch.where(weights == 0, -targets, targets)
    torch.testing.assert_close(fit_calibration(estimates, garbled, weights, "clip"), expected)
    assert (expected[:2, 2] == 0).all()
    assert fit_calibration(estimates.float(), targets.float(), weights.float(), "clip").dtype == torch.float64


def test_row_of_weight_two_is_the_row_twice_and_order_does_not_matter():
    estimates, targets, weights = noisy_estimates()
    expected = fit_calibration(estimates, targets, weights, "clip")
    twice = [torch.cat([values, values]) for values in (estimates, targets, weights / 2)]
    torch.testing.assert_close(fit_calibration(*twice, "clip"), expected)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    rows = [values[order] for values in (estimates, targets, weights)]
    torch.testing.assert_close(fit_calibration(*rows, "clip"), expected)
    labels = [values[:, [2, 0, 1]] for values in (estimates, targets, weights)]
    torch.testing.assert_close(fit_calibration(*labels, "clip"), expected[:, [2, 0, 1]])
