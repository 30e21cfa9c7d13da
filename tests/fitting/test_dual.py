"""Duals of labels with few rows: against scikit-learn's ridge regression and Newton's method."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from rungwise.fitting import dual, newton
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import fit_readout


def problem(n=40, n_units=25, share=0.4, margin=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, n_units, generator=generator, dtype=torch.float64)
    targets = torch.randn(n, 4, generator=generator, dtype=torch.float64).sign()
    weights = 0.1 + torch.rand(n, 4, generator=generator, dtype=torch.float64)
    weights *= torch.rand(n, 4, generator=generator) < share
    offset = torch.randn(n, 4, generator=generator, dtype=torch.float64) / 2
    return Objective(SquaredLoss(margin), hidden, targets, weights, offset)


def kernel(objective):
    return objective.hidden @ objective.hidden.T


@pytest.mark.parametrize("penalty", [1e-5, 1e-2, 1.0])
@pytest.mark.parametrize("margin", [1.0, 0.7])
def test_they_solve_the_ridge_regression_of_each_label_s_own_rows(penalty, margin):
    objective = problem(margin=margin)
    parameters = dual.minimise(objective, kernel(objective), penalty)
    for label in range(4):
        weight = objective.normalised_weights[:, label]
        own = (weight > 0).numpy()
        residual = margin * objective.targets[:, label] - objective.offset[:, label]
        ridge = Ridge(alpha=penalty, solver="cholesky", tol=1e-12)
        ridge.fit(objective.hidden.numpy()[own], residual.numpy()[own], sample_weight=weight.numpy()[own])
        np.testing.assert_allclose(parameters[:-1, label], ridge.coef_, rtol=1e-6, atol=1e-9)
        assert float(parameters[-1, label]) == pytest.approx(ridge.intercept_, rel=1e-6)


def test_the_gradient_vanishes():
    objective = problem()
    parameters = dual.minimise(objective, kernel(objective), 1e-3)
    torch.testing.assert_close(objective.gradient(parameters, 1e-3), torch.zeros_like(parameters), atol=1e-12, rtol=0)


def test_what_stands_where_nothing_is_annotated_does_not_matter():
    objective = problem()
    expected = dual.minimise(objective, kernel(objective), 1e-3)
    objective.targets[objective.weights == 0] = 1e3
    torch.testing.assert_close(dual.minimise(objective, kernel(objective), 1e-3), expected)


@pytest.mark.parametrize(("name", "most"), [("_LABELS_AT_ONCE", 1), ("_LABELS_AT_ONCE", 3), ("_MOST_ENTRIES", 1)])
def test_labels_solved_in_parts_are_the_same(monkeypatch, name, most):
    objective = problem()
    objective.weights[10:, 2] = 0  # labels of very different numbers of rows
    expected = dual.minimise(objective, kernel(objective), 1e-3)
    monkeypatch.setattr(dual, name, most)
    torch.testing.assert_close(dual.minimise(objective, kernel(objective), 1e-3), expected)


@pytest.mark.parametrize("nothing", [[0], [0, 1, 2, 3]])
def test_a_label_of_no_row_keeps_its_estimates(nothing):
    objective = problem()
    expected = dual.minimise(objective, kernel(objective), 1e-3)
    objective.weights[:, nothing] = 0
    expected[:, nothing] = 0
    torch.testing.assert_close(dual.minimise(objective, kernel(objective), 1e-3), expected)


def test_single_precision():
    objective = problem()
    expected = dual.minimise(objective, kernel(objective), 1e-2)
    single = Objective(objective.loss, *(value.float() for value in list(vars(objective).values())[1:]))
    found = dual.minimise(single, kernel(single), 1e-2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def readouts(objective):
    """Return the weights of readouts at one penalty."""
    return fit_readout(objective, [slice(0, 100), slice(100, 200)], penalties=[1e-3]).weight


def test_readouts_need_no_step_of_newton_s_method_after_duals(monkeypatch):
    objective = problem(n=200, n_units=40, share=0.3)
    with monkeypatch.context() as patched:
        patched.setattr(dual, "is_worth_while", lambda objective: False)
        expected = readouts(objective)
    monkeypatch.setattr(newton, "_newton_step", None)
    torch.testing.assert_close(readouts(objective), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("nonsense", [float("nan"), 1e6])
def test_duals_that_went_wrong_are_not_used(monkeypatch, nonsense):
    objective = problem(n=200, n_units=40, share=0.3)
    expected = readouts(objective)
    monkeypatch.setattr(dual, "minimise", lambda objective, *_: torch.full((41, 4), nonsense, dtype=torch.float64))
    torch.testing.assert_close(readouts(objective), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("n", "share", "expected"), [(400, 0.2, True), (400, 1.0, False), (5000, 0.001, False)])
def test_they_are_for_labels_of_few_rows(n, share, expected):
    assert dual.is_worth_while(problem(n=n, share=share)) == expected


def test_one_label_of_all_rows_among_many_of_few_does_not_matter():
    objective = problem(n=400, share=0.05)
    objective.weights[:, 0] = 1
    assert not dual.is_worth_while(objective)
    assert dual.is_worth_while(objective.select_labels(torch.tensor([0, *[1] * 99])))
