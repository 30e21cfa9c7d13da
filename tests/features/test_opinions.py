import math

import pytest
import torch

from rungwise.features.opinions import express, filled_targets
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective


def objective(loss, targets, weights, offset):
    targets, weights, offset = (torch.tensor(values, dtype=torch.float64) for values in (targets, weights, offset))
    return Objective(loss, targets[:, :0], targets, weights, offset)


def test_opinions_are_expected_signs():
    probability = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    assert express(probability, "clip").tolist() == [-1.0, -0.5, 0.0, 1.0]


def test_opinions_are_bounded_log_odds_under_tanh():
    probability = torch.tensor([0.0, 0.0001, 0.2, 0.5, 1.0], dtype=torch.float64)
    most = math.log(999)
    assert express(probability, "tanh").tolist() == pytest.approx([-most, -most, -math.log(4), 0.0, most], abs=1e-9)


@pytest.mark.parametrize("loss", [SquaredLoss(), LogisticLoss()])
def test_annotated_targets_stay_as_they_are(loss):
    targets = [[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]]
    offset = [[0.3, -2.0], [0.1, 0.2], [5.0, 0.0]]
    filled, weights = filled_targets(objective(loss, targets, [[2.0, 2.0], [1.0, 1.0], [0.5, 0.5]], offset))
    assert filled.tolist() == targets
    assert weights.tolist() == [2.0, 1.0, 0.5]


def test_gaps_are_the_weighted_mean_label_where_there_is_no_estimate():
    # Label 0: (3 · 1 - 1 · 1) / 4 over rows 0 and 1; row 2 is not annotated, whatever stands there.
    targets, weights = [[1.0, 1.0], [-1.0, 1.0], [9.0, -1.0]], [[3.0, 3.0], [1.0, 1.0], [0.0, 2.0]]
    filled, row_weights = filled_targets(objective(SquaredLoss(), targets, weights, [[0.0, 0.0]] * 3))
    assert filled.tolist() == [[1.0, 1.0], [-1.0, 1.0], [0.5, -1.0]]
    assert row_weights.tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("loss", "believed"), [(SquaredLoss(), [1.0, -0.25]), (LogisticLoss(), [math.tanh(2), math.tanh(-0.125)])]
)
def test_gaps_are_the_estimates_so_far(loss, believed):
    targets, weights = [[9.0, 1.0], [9.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]
    filled, _ = filled_targets(objective(loss, targets, weights, [[4.0, 0.0], [-0.25, 0.0], [0.0, 0.0]]))
    assert filled[:, 0].tolist() == pytest.approx([*believed, 1.0])
    assert filled[:, 1].tolist() == [1.0, 1.0, 1.0]


def test_lesser_weights_mix_target_and_estimate():
    filled, weights = filled_targets(objective(SquaredLoss(), [[1.0, 1.0]], [[1.0, 4.0]], [[-0.6, 0.0]]))
    assert filled.tolist() == [pytest.approx([0.25 - 0.75 * 0.6, 1.0])]
    assert weights.tolist() == [4.0]


def test_rows_and_labels_without_weight_are_finite():
    filled, weights = filled_targets(
        objective(SquaredLoss(), [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0]] * 2)
    )
    assert torch.isfinite(filled).all()
    assert weights.tolist() == [0.0, 1.0]
