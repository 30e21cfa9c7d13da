import pytest
import torch

from rungwise.features import BoostedFeatures, KernelFeatures, LearnedFeatures, Standing, TreeFeatures
from rungwise.features.opinions import of_own_fold
from rungwise.fitting.folds import Grouping
from rungwise.fitting.losses import LogisticLoss, SquaredLoss
from rungwise.fitting.objective import Objective

MAPS = [
    TreeFeatures(10, min_leaf=5),
    TreeFeatures(20, "random"),
    BoostedFeatures(n_boosters=3, n_rounds=5),
    KernelFeatures(30),
    LearnedFeatures(width=8, n_layers=2),
]


def fit(features, loss, dtype):
    """Return opinions about labels of 90 rows, units of three neighbours in turn, and the rows."""
    n = 90
    generator = torch.Generator().manual_seed(0)
    stream = torch.randn(n, 4, generator=generator, dtype=dtype)
    signs = torch.where(stream[:, :2] + 0.5 * torch.randn(n, 2, generator=generator, dtype=dtype) > 0, 1.0, -1.0)
    # The last label is one that nothing tells.
    signs = torch.cat([signs, torch.where(torch.rand(n, 1, generator=generator) > 0.5, 1.0, -1.0)], dim=1).to(dtype)
    weights = torch.ones_like(signs)
    weights[::7, 0] = 0
    weights[40] = 0
    # In three of the units the last row is a copy of the first.
    content = torch.arange(n)
    copied = torch.tensor([8, 35, 80])
    content[copied], stream[copied] = copied - 2, stream[copied - 2]
    grouping = Grouping([slice(0, 30), slice(30, 60), slice(60, 90)], torch.arange(n) // 3, content)
    objective = Objective(loss, stream[:, :0], signs, weights, torch.zeros_like(signs))
    standing = Standing(torch.ones(3, dtype=torch.bool), [torch.ones(4, dtype=torch.bool)], True)
    return features.fit_honest(stream, generator, objective, grouping, standing), stream


@pytest.mark.parametrize("features", MAPS, ids=str)
@pytest.mark.parametrize(("loss", "dtype"), [(SquaredLoss(), torch.float64), (LogisticLoss(), torch.float32)])
def test_the_parts_that_did_not_see_a_row_can_be_asked_elsewhere(features, loss, dtype):
    opinions, stream = fit(features, loss, dtype)
    rows = torch.tensor([80, 3, 40, 41, 7, 89])
    torch.testing.assert_close(opinions.honest_at(stream[rows], rows), opinions.honest[rows], atol=1e-4, rtol=1e-4)
    # No part has seen one row of a unit and not the others: at the place of another it says what it says of that.
    others = torch.tensor([79, 4, 39, 40, 8, 87])
    torch.testing.assert_close(opinions.honest_at(stream[others], rows), opinions.honest[others], atol=1e-4, rtol=1e-4)
    assert opinions.honest_at(stream[:0], rows[:0]).shape == (0, 3)


def test_each_row_is_asked_of_the_function_of_its_fold():
    entries = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    functions = [lambda rows, factor=factor: factor * rows for factor in (1.0, 10.0, 100.0)]
    values = of_own_fold(functions, torch.tensor([2, 0, 0, 2]), entries)
    assert values.tolist() == [[100.0], [2.0], [3.0], [400.0]]
