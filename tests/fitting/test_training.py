"""What training starts from: each label's constant, honest, against its closed form."""

import numpy as np
import pytest
import torch

from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.training import _honest_constants


@pytest.mark.parametrize(
    ("loss", "closed_form"), [(SquaredLoss(), lambda p: 2 * p - 1), (LogisticLoss(), lambda p: np.log(p / (1 - p)))]
)
def test_honest_constant_of_a_row_follows_from_the_share_of_positives_in_the_other_folds(loss, closed_form):
    rng = np.random.default_rng(0)
    targets = np.where(rng.random((300, 4)) < [0.5, 0.1, 0.8, 0.3], 1.0, -1.0)
    weights = rng.binomial(1, 0.7, size=targets.shape) * rng.exponential(size=(300, 1))
    folds = [slice(0, 50), slice(50, 180), slice(180, 300)]
    found = _honest_constants(loss, torch.as_tensor(targets), torch.as_tensor(weights), folds)
    assert found.shape == targets.shape
    for rows in folds:
        others = np.delete(np.arange(300), rows)
        share = np.average(targets[others] > 0, axis=0, weights=weights[others])
        np.testing.assert_allclose(found[rows], np.broadcast_to(closed_form(share), found[rows].shape), atol=1e-6)
