import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.fitting.losses import LOSSES, LogisticLoss, SquaredHingeLoss, SquaredLoss
from rungwise.network import LINKS

# Off the kink of the hinge, where a difference quotient says nothing.
SCORES = torch.linspace(-4.013, 4.017, 62, dtype=torch.float64)
KINDS = sorted(LOSSES)
scores = st.floats(-50, 50)
margins = st.floats(0, 5)
signs = st.sampled_from([-1.0, 1.0])


def at(score, target):
    return torch.tensor(score, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", [-1.0, 1.0])
@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
def test_slope_and_curvature_are_the_derivatives(kind, target, margin):
    loss, targets, step = LOSSES[kind](margin), torch.full_like(SCORES, target), 1e-6
    for function, derivative in ((loss.value, loss.slope), (loss.slope, loss.curvature)):
        difference = (function(SCORES + step, targets) - function(SCORES - step, targets)) / (2 * step)
        torch.testing.assert_close(derivative(SCORES, targets), difference, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(scores, scores, st.floats(0, 1), signs, margins)
def test_loss_is_convex(kind, one, other, share, target, margin):
    loss = LOSSES[kind](margin)
    between = loss.value(*at(share * one + (1 - share) * other, target)).item()
    chord = share * loss.value(*at(one, target)).item() + (1 - share) * loss.value(*at(other, target)).item()
    assert between <= chord + 1e-9


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(scores, signs, margins)
def test_loss_is_a_nonnegative_function_of_the_margin_alone(kind, score, target, margin):
    loss = LOSSES[kind](margin)
    value = loss.value(*at(score, target))
    assert value >= 0
    torch.testing.assert_close(value, loss.value(*at(-score, -target)))
    assert 0 <= loss.curvature(*at(score, target)) <= loss.max_curvature


@settings(deadline=None)
@given(scores, signs, margins)
def test_squared_hinge_asks_for_the_margin_and_no_more(score, target, margin):
    value = SquaredHingeLoss(margin).value(*at(score, target))
    missed = margin - score * target
    assert value.item() == pytest.approx(SquaredLoss(margin).value(*at(score, target)).item() if missed > 0 else 0)


@pytest.mark.parametrize("frequency", [0.2, 0.5, 0.9])
def test_minimisers_are_the_expected_label_and_its_log_odds(frequency):
    grid = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    ones = torch.ones_like(grid)
    for loss, expected in (
        (SquaredLoss(), 2 * frequency - 1),
        (SquaredHingeLoss(), 2 * frequency - 1),
        (LogisticLoss(), torch.tensor(frequency, dtype=torch.float64).logit().item()),
    ):
        risk = frequency * loss.value(grid, ones) + (1 - frequency) * loss.value(grid, -ones)
        best = grid[risk.argmin()]
        assert best.item() == pytest.approx(expected, abs=2e-4)
        # Read through the loss's link, every minimiser is the expected label.
        assert LINKS[loss.link](best).item() == pytest.approx(2 * frequency - 1, abs=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_far_scores_stay_finite_in_single_precision(kind):
    loss, far, targets = LOSSES[kind](), torch.tensor([-1e4, 1e4]), torch.ones(2)
    for function in (loss.value, loss.slope, loss.curvature):
        assert function(far, targets).isfinite().all()
