"""Readouts: honest updates, penalties, and the invariances that weights, masks and label order must have."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge

from rungwise.fitting import newton
from rungwise.fitting.losses import LOSSES, SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import PENALTIES, fit_readout

KINDS_OF_LOSS = sorted(LOSSES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Matrices this small lose more by waiting for threads than they gain."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def random_problem(loss="squared", seed=0, n=60, n_units=10, n_labels=4, masked=False):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    hidden = normal(n, n_units) + 0.5
    targets = (hidden[:, :n_labels] - 0.5 + normal(n, n_labels)).sign()
    weights = torch.ones(n, n_labels, dtype=torch.float64)
    if masked:
        weights = (torch.rand(n, n_labels, generator=generator) < 0.7).double()
    return Objective(LOSSES[loss](), hidden, targets, weights, 0.3 * normal(n, n_labels))


def folds_of(n, n_folds=3):
    ends = [n * k // n_folds for k in range(n_folds + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("n_units", [10, 90])
@pytest.mark.parametrize("masked", [False, True])
def test_honest_updates_of_a_fold_do_not_depend_on_its_labels(loss, n_units, masked):
    problem = random_problem(loss, n_units=n_units, masked=masked)
    folds = folds_of(60)
    honest = fit_readout(problem, folds, penalties=[0.1])
    for k, rows in enumerate(folds):
        targets = problem.targets.clone()
        targets[rows] *= -1
        flipped = fit_readout(
            Objective(problem.loss, problem.hidden, targets, problem.weights, problem.offset), folds, [0.1]
        )
        torch.testing.assert_close(flipped.honest_update[rows], honest.honest_update[rows], rtol=0, atol=1e-7)
        torch.testing.assert_close(flipped.fold_weight[k], honest.fold_weight[k], rtol=0, atol=1e-7)
        others = torch.cat([honest.honest_update[other] for other in folds if other != rows])
        others_flipped = torch.cat([flipped.honest_update[other] for other in folds if other != rows])
        assert (others - others_flipped).abs().max() > 0.1


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("n_units", [10, 90])
def test_honest_update_is_what_the_readout_without_the_fold_says(loss, n_units):
    problem, folds = random_problem(loss, n_units=n_units), folds_of(60)
    readout = fit_readout(problem, folds)
    for k, rows in enumerate(folds):
        expected = problem.hidden[rows] @ readout.fold_weight[k] + readout.fold_bias[k]
        torch.testing.assert_close(readout.honest_update[rows], expected)


@pytest.mark.parametrize("n_units", [10, 59, 60, 90])
@pytest.mark.parametrize("penalty", [1e-3, 0.1])
def test_squared_loss_is_ridge_regression_also_with_more_units_than_rows(n_units, penalty):
    problem, folds = random_problem(n_units=n_units), folds_of(60)
    readout = fit_readout(problem, folds, penalties=[penalty])
    centred = problem.hidden - problem.hidden.mean(0)
    alpha = penalty * (centred.square().sum() / 60).item()  # in units of the mean squared norm
    residual = (problem.targets - problem.offset).numpy()

    def ridge(rows):
        return Ridge(alpha=alpha * len(rows), solver="svd").fit(problem.hidden[rows].numpy(), residual[rows])

    everything = ridge(torch.arange(60))
    torch.testing.assert_close(readout.weight.T, torch.as_tensor(everything.coef_), rtol=0, atol=1e-8)
    torch.testing.assert_close(readout.bias, torch.as_tensor(everything.intercept_), rtol=0, atol=1e-8)
    for k, rows in enumerate(folds):
        others = torch.as_tensor([i for i in range(60) if not rows.start <= i < rows.stop])
        fold = ridge(others)
        expected = torch.as_tensor(fold.predict(problem.hidden[rows].numpy()))
        torch.testing.assert_close(readout.honest_update[rows], expected, rtol=0, atol=1e-8)
        torch.testing.assert_close(readout.fold_bias[k], torch.as_tensor(fold.intercept_), rtol=0, atol=1e-8)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("n_units", [10, 90])
def test_weight_two_is_the_row_twice(loss, n_units):
    problem = random_problem(loss, n_units=n_units)
    twice = torch.arange(60).repeat_interleave(1 + (torch.arange(60) % 3 == 0).long())
    weights = torch.where(torch.arange(60) % 3 == 0, 2.0, 1.0).double()[:, None].expand(-1, 4)
    weighted = Objective(problem.loss, problem.hidden, problem.targets, weights, problem.offset)
    # The folds of 20 rows hold 7, 7 and 6 multiples of 3.
    one = fit_readout(weighted, folds_of(60), penalties=[0.01, 1.0])
    other = fit_readout(problem.select(twice), [slice(0, 27), slice(27, 54), slice(54, 80)], penalties=[0.01, 1.0])
    torch.testing.assert_close(other.weight, one.weight, rtol=0, atol=1e-7)
    torch.testing.assert_close(other.bias, one.bias, rtol=0, atol=1e-7)
    torch.testing.assert_close(other.honest_update, one.honest_update[twice], rtol=0, atol=1e-7)
    assert torch.equal(other.penalty, one.penalty)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("masked", [False, True])
def test_order_of_labels_does_not_matter(loss, masked):
    problem, order = random_problem(loss, masked=masked), torch.tensor([2, 0, 3, 1])
    one = fit_readout(problem, folds_of(60), penalties=[0.01, 1.0])
    permuted = Objective(
        problem.loss, problem.hidden, problem.targets[:, order], problem.weights[:, order], problem.offset[:, order]
    )
    other = fit_readout(permuted, folds_of(60), penalties=[0.01, 1.0])
    torch.testing.assert_close(other.weight, one.weight[:, order], rtol=0, atol=1e-7)
    torch.testing.assert_close(other.honest_update, one.honest_update[:, order], rtol=0, atol=1e-7)
    assert torch.equal(other.penalty, one.penalty[order])


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_masked_label_is_fitted_on_its_annotated_rows_alone(loss):
    problem = random_problem(loss, masked=True)
    # One mask for all labels: centring and the unit of the penalty follow the rows that count.
    shared = problem.weights[:, :1].expand(-1, 4)
    masked = Objective(problem.loss, problem.hidden, problem.targets, shared, problem.offset)
    rows = shared[:, 0].nonzero()[:, 0]
    ends = torch.searchsorted(rows, torch.tensor([0, 20, 40, 60])).tolist()
    folds = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    one = fit_readout(masked, folds_of(60), penalties=[0.1])
    alone = fit_readout(masked.select(rows), folds, penalties=[0.1])
    torch.testing.assert_close(alone.weight, one.weight, rtol=0, atol=1e-7)
    torch.testing.assert_close(alone.bias, one.bias, rtol=0, atol=1e-7)
    torch.testing.assert_close(alone.honest_update, one.honest_update[rows], rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_values_at_unannotated_entries_do_not_matter(loss):
    problem = random_problem(loss, masked=True)
    other = Objective(
        problem.loss,
        problem.hidden,
        torch.where(problem.weights > 0, problem.targets, -problem.targets),
        problem.weights,
        problem.offset,
    )
    one, other = (fit_readout(p, folds_of(60), penalties=[0.1]) for p in (problem, other))
    torch.testing.assert_close(other.weight, one.weight, rtol=0, atol=1e-7)
    torch.testing.assert_close(other.honest_update, one.honest_update, rtol=0, atol=1e-7)


def test_penalty_of_each_label_is_the_one_with_the_lowest_honest_loss():
    generator = torch.Generator().manual_seed(1)
    problem = random_problem(n=120)
    noise = torch.randn(120, generator=generator, dtype=torch.float64).sign()
    targets = torch.stack([(problem.hidden[:, 0] - 0.5).sign(), noise], dim=1)
    zeros = torch.zeros(120, 2, dtype=torch.float64)
    problem = Objective(SquaredLoss(), problem.hidden, targets, zeros + 1, zeros)
    readout = fit_readout(problem, folds_of(120))
    honest_loss = torch.stack(
        [
            SquaredLoss().value(fit_readout(problem, folds_of(120), [penalty]).honest_update, targets).mean(0)
            for penalty in PENALTIES
        ]
    )
    expected = torch.tensor(PENALTIES, dtype=torch.float64)[honest_loss.argmin(0)]
    torch.testing.assert_close(readout.penalty, expected)
    assert readout.penalty[0] < math.inf


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_infinite_penalty_fits_the_constant_alone(loss):
    problem = random_problem(loss)
    readout = fit_readout(problem, folds_of(60), penalties=[math.inf])
    assert readout.weight.abs().max() == 0
    slope = problem.loss.slope(problem.offset + readout.bias, problem.targets)
    torch.testing.assert_close(slope.mean(0), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-8)
    for k, rows in enumerate(folds_of(60)):
        assert (readout.honest_update[rows] == readout.fold_bias[k]).all()


@pytest.mark.parametrize("solver", ["exact", "sgd"])
def test_loss_that_is_no_number_is_not_passed_over(solver):
    problem = random_problem()
    problem.offset[7, 2] = math.nan
    with pytest.raises(FloatingPointError, match=f"1 of 4 readouts.*solver='{solver}'.*SquaredLoss"):
        fit_readout(problem, folds_of(60), solver=solver)


def test_penalty_below_the_precision_is_refused_if_it_is_the_only_one():
    problem = random_problem(n_units=4)
    hidden = problem.hidden[:, :1].float().expand(-1, 3)
    problem = Objective(problem.loss, hidden, *(t.float() for t in (problem.targets, problem.weights, problem.offset)))
    with pytest.raises(FloatingPointError, match="any of the penalties"):
        fit_readout(problem, folds_of(60), penalties=[1e-30])


def test_each_penalty_starts_from_the_solution_of_the_larger_one(monkeypatch):
    starts, solutions = [], []

    def record(objective, factor, penalty, start=None):
        solution = minimise(objective, factor, penalty, start)
        if penalty > 0:  # not the constant alone
            starts.append(start)
            solutions.append(solution)
        return solution

    minimise = newton.minimise
    monkeypatch.setattr(newton, "minimise", record)
    fit_readout(random_problem("logistic"), folds_of(60), penalties=[0.01, 1.0, 0.1])
    for earlier, start in zip(solutions[:6], starts[3:9], strict=True):
        assert torch.equal(start, earlier)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_order_of_penalties_does_not_matter(loss):
    problem = random_problem(loss)
    one = fit_readout(problem, folds_of(60), penalties=[math.inf, 1.0, 0.1, 0.01])
    other = fit_readout(problem, folds_of(60), penalties=[0.1, 0.01, math.inf, 1.0])
    assert torch.equal(one.penalty, other.penalty)
    torch.testing.assert_close(one.weight, other.weight, rtol=0, atol=1e-7)


def test_constants_of_balanced_labels_converge_in_single_precision():
    # Their gradients begin near the rounding errors of the loss.
    targets = 2.0 * torch.randint(2, (5000, 300), generator=torch.Generator().manual_seed(0)) - 1
    objective = Objective(
        LOSSES["logistic"](), targets[:, :0], targets, torch.ones_like(targets), torch.zeros_like(targets)
    )
    readout = fit_readout(objective, [slice(0, 2500), slice(2500, 5000)], penalties=[float("inf")])
    mean = targets.double().mean(0)
    torch.testing.assert_close(readout.bias.double(), torch.log((1 + mean) / (1 - mean)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("n_units", [10, 90])
def test_folds_with_units_of_their_own_speak_as_readouts_of_these(loss, n_units):
    problem = random_problem(loss, n_units=n_units)
    folds = folds_of(60)
    first, second = problem.hidden[:, :4], problem.hidden[:, 3:]
    found = fit_readout(problem, folds, [0.1], fold_units=[first, second, second])
    whole = fit_readout(problem, folds, [0.1])
    torch.testing.assert_close(found.weight, whole.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.bias, whole.bias, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.fold_weight, whole.fold_weight, rtol=0, atol=1e-6)
    for rows, units in zip(folds, (first, second, second), strict=True):
        alone = fit_readout(replace(problem, hidden=units), folds, [0.1]).honest_update
        torch.testing.assert_close(found.honest_update[rows], alone[rows], rtol=0, atol=1e-6)
    same = fit_readout(problem, folds, fold_units=[problem.hidden] * 3)
    torch.testing.assert_close(same.honest_update, fit_readout(problem, folds).honest_update)


def in_single_precision(problem):
    names = "hidden", "targets", "weights", "offset"
    return replace(problem, **{name: getattr(problem, name).float() for name in names})


def test_penalties_are_those_that_were_asked_for_in_single_precision():
    # Single precision rounds 1e-3 up and 1e-2 down.
    for penalty in (1e-3, 1e-2):
        found = fit_readout(in_single_precision(random_problem()), folds_of(60), [penalty])
        exact = fit_readout(random_problem(), folds_of(60), [penalty])
        torch.testing.assert_close(found.weight.double(), exact.weight, rtol=1e-3, atol=1e-5)
        assert (found.penalty == torch.tensor(penalty)).all()


def test_fitted_units_that_are_more_dependent_than_those_of_the_folds_take_a_larger_penalty():
    single = in_single_precision(random_problem(n_units=4))
    twice = replace(single, hidden=torch.cat([single.hidden] * 10, dim=1))
    with pytest.raises(FloatingPointError, match="too nearly dependent"):
        fit_readout(twice, folds_of(60), [1e-12])
    found = fit_readout(twice, folds_of(60), [1e-12, 1e-3], fold_units=[single.hidden] * 3)
    assert (found.penalty == torch.tensor(1e-3)).all()


def test_a_label_with_weight_in_one_fold_only_is_left_at_zero_there():
    problem = random_problem("logistic")
    weights = problem.weights.clone()
    weights[20:, 0] = 0
    found = fit_readout(replace(problem, weights=weights), folds_of(60))
    assert (found.honest_update[:20, 0] == 0).all()
    one = replace(problem, targets=problem.targets[:, :1], weights=weights[:, :1], offset=problem.offset[:, :1])
    assert (fit_readout(one, folds_of(60)).honest_update[:20] == 0).all()
