"""Literals: where a column is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rungwise.features.literals import literal_thresholds

finite = st.floats(-1e6, 1e6, width=32)
columns = st.lists(st.one_of(finite, st.sampled_from([0.0, 1.0, -0.0, 2.5])), min_size=1, max_size=60)


@given(columns, st.integers(1, 20), st.sampled_from([torch.float32, torch.float64]))
def test_thresholds_ascend_and_each_has_rows_on_both_sides(values, n_thresholds, dtype):
    column = torch.tensor(values, dtype=dtype)
    cuts = literal_thresholds(column, n_thresholds)
    assert cuts.dtype == dtype
    assert len(cuts) <= n_thresholds
    assert not cuts.isnan().any()
    assert (cuts.diff() > 0).all()
    above = column > cuts[:, None]
    assert above.any(1).all()
    assert (~above).any(1).all()


@given(columns)
def test_few_values_are_all_told_apart(values):
    column = torch.tensor(values, dtype=torch.float64)
    distinct = column.unique()
    cuts = literal_thresholds(column, len(distinct))
    assert len(cuts) == len(distinct) - 1
    assert (distinct[:, None] > cuts).sum(1).tolist() == list(range(len(distinct)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("low", [1.0, 1.5, -1.0, 0.1, 1e-30, 3.0])
def test_neighbouring_floats_are_told_apart(low, dtype):
    pair = torch.tensor([low], dtype=dtype).repeat(2)
    pair[1] = torch.nextafter(pair[0], torch.tensor(float("inf"), dtype=dtype))
    again = torch.nextafter(pair[1], torch.tensor(float("inf"), dtype=dtype))
    for column in (pair, torch.stack([pair[1], again])):
        (cut,) = literal_thresholds(column, 15)
        assert (column > cut).tolist() == [False, True]


@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0), (-0.3, 2.7)])
@pytest.mark.parametrize("n_thresholds", [1, 15])
def test_two_values_have_one_threshold_between_them(values, n_thresholds):
    column = torch.tensor(values).repeat(7)
    (cut,) = literal_thresholds(column, n_thresholds)
    assert values[0] < cut < values[1]


def test_constant_column_has_no_threshold():
    assert literal_thresholds(torch.full((5,), 3.0), 4).tolist() == []


@pytest.mark.parametrize("n_thresholds", [1, 3, 15])
def test_many_values_are_cut_at_their_quantiles(n_thresholds):
    column = torch.as_tensor(np.random.default_rng(0).normal(size=4000))
    cuts = literal_thresholds(column, n_thresholds)
    share = (column <= cuts[:, None]).double().mean(1).numpy()
    expected = np.arange(1, n_thresholds + 1) / (n_thresholds + 1)
    np.testing.assert_allclose(share, expected, atol=1 / 1000)


def test_value_that_most_rows_have_is_cut_off_once():
    column = torch.cat([torch.zeros(900), torch.linspace(1, 2, 100)])
    cuts = literal_thresholds(column, 15)
    assert (cuts < 1).sum() == 1
    assert len(cuts) == 2  # of 15 quantiles 14 are 0


def test_order_of_the_rows_does_not_matter():
    column = torch.randn(500, generator=torch.Generator().manual_seed(0))
    shuffled = column[torch.randperm(500, generator=torch.Generator().manual_seed(1))]
    assert torch.equal(literal_thresholds(column, 7), literal_thresholds(shuffled, 7))


def test_fewer_quantiles_do_not_touch_columns_of_few_values():
    few, many = torch.arange(12.0).repeat(5), torch.arange(60.0)
    assert len(literal_thresholds(few, 15, n_quantiles=3)) == 11
    assert literal_thresholds(many, 15, n_quantiles=3).tolist() == literal_thresholds(many, 3).tolist()
    assert len(literal_thresholds(few, 15, n_quantiles=0)) == 11
    assert len(literal_thresholds(many, 15, n_quantiles=0)) == 0
