"""The solvers of the readout agree with each other and with SciPy and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch
from sklearn.linear_model import Ridge

from rungwise.datasets import make_hierarchy
from rungwise.features import RandomFeatures
from rungwise.fitting import newton, sgd
from rungwise.fitting.gram import Moments
from rungwise.fitting.losses import LOSSES, LogisticLoss, SquaredHingeLoss, SquaredLoss
from rungwise.fitting.objective import Objective

KINDS_OF_LOSS = sorted(LOSSES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Matrices this small lose more by waiting for threads than they gain."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def random_problem(loss, seed=0, n=60, n_units=8, n_labels=4, masked=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(n, n_units, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, n_labels, generator=generator, dtype=torch.float64)
    targets = (hidden[:, :n_labels] + noise).sign()
    weights = torch.rand(n, n_labels, generator=generator, dtype=torch.float64) + 0.1
    if masked:
        weights = weights * (torch.rand(n, n_labels, generator=generator) < 0.7)
    offset = torch.randn(n, n_labels, generator=generator, dtype=torch.float64) / 2
    return Objective(LOSSES[loss](), *(t.to(dtype) for t in (hidden, targets, weights, offset)))


def newton_solution(problem, penalty):
    moments = Moments.of(problem.hidden, problem.weights.mean(1))
    return newton.minimise(problem, moments.factor(problem.loss.max_curvature, penalty), penalty)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("masked", [False, True])
def test_newton_finds_the_minimum_that_scipy_finds(loss, penalty, masked):
    problem = random_problem(loss, masked=masked)
    parameters = newton_solution(problem, penalty)
    for label in range(problem.targets.shape[1]):
        one = Objective(
            problem.loss,
            problem.hidden,
            *(t[:, [label]] for t in (problem.targets, problem.weights, problem.offset)),
        )

        def value_and_gradient(flat, one=one):
            column = torch.as_tensor(flat)[:, None]
            return one.value(column, penalty).item(), one.gradient(column, penalty)[:, 0].numpy()

        start = np.zeros(problem.n_parameters)
        options = {"gtol": 1e-11, "ftol": 0, "maxiter": 2000}
        found = scipy.optimize.minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
        np.testing.assert_allclose(parameters[:, label], found.x, rtol=0, atol=2e-6)
        assert problem.value(parameters, penalty)[label] <= found.fun * (1 + 1e-12)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_newton_start_does_not_change_the_minimum(loss):
    problem = random_problem(loss)
    factor = Moments.of(problem.hidden, problem.weights.mean(1)).factor(problem.loss.max_curvature, 0.01)
    far = 5 * torch.randn(problem.n_parameters, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    kept = far.clone()
    from_far = newton.minimise(problem, factor, 0.01, start=far)
    torch.testing.assert_close(from_far, newton.minimise(problem, factor, 0.01), rtol=0, atol=1e-6)
    assert torch.equal(far, kept)


def test_newton_warns_when_it_is_stopped_early(monkeypatch):
    monkeypatch.setattr(newton, "_MAX_STEPS", 1)
    with pytest.warns(newton.ConvergenceWarning, match="4 of 4 readouts stopped after 1 Newton steps"):
        newton_solution(random_problem("logistic"), 1e-3)


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
@pytest.mark.parametrize("penalty", [1e-3, 0.1])
def test_single_precision_solution_is_near_that_in_double_precision(loss, penalty):
    double = newton_solution(random_problem(loss), penalty)
    single = newton_solution(random_problem(loss, dtype=torch.float32), penalty)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=5e-3)


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0])
def test_closed_form_is_ridge_regression(penalty):
    problem = random_problem("squared", masked=False)
    row_weights = problem.weights[:, 0]
    problem = Objective(
        SquaredLoss(), problem.hidden, problem.targets, row_weights[:, None].expand(-1, 4), 0 * problem.offset
    )
    ridge = Ridge(alpha=penalty * row_weights.sum().item(), fit_intercept=True, solver="cholesky")
    ridge.fit(problem.hidden.numpy(), problem.targets.numpy(), sample_weight=row_weights.numpy())
    moments = Moments.of(problem.hidden, row_weights)
    slope = problem.weights * problem.loss.slope(problem.offset, problem.targets)
    closed = torch.cholesky_solve(-problem.adjoint(slope) / moments.total, moments.factor(1.0, penalty))
    for solution in (closed, newton_solution(problem, penalty)):
        np.testing.assert_allclose(solution[:-1].T, ridge.coef_, rtol=0, atol=1e-8)
        np.testing.assert_allclose(solution[-1], ridge.intercept_, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "loss", [SquaredLoss(), SquaredHingeLoss(), LogisticLoss()], ids=lambda loss: type(loss).__name__
)
def test_stochastic_gradient_descent_agrees_with_the_exact_solver(loss):
    X, Y, _ = make_hierarchy(2000, n_inputs=10, n_levels=2, n_labels_per_level=4, random_state=0)
    x = torch.as_tensor(X).double()
    targets = 2.0 * torch.as_tensor(Y).double() - 1
    hidden = RandomFeatures(width=64).fit(x, torch.Generator().manual_seed(0))(x)
    hidden = hidden - hidden.mean(0)
    problem = Objective(loss, hidden, targets, torch.ones_like(targets), torch.zeros_like(targets))
    moments = Moments.of(hidden, problem.weights.mean(1))
    penalty = 1e-3 * moments.mean_square.item()
    exact = newton_solution(problem, penalty)
    stochastic = sgd.minimise(problem, moments, penalty, torch.Generator().manual_seed(0))
    best, reached = problem.value(exact, penalty), problem.value(stochastic, penalty)
    assert (reached >= best * (1 - 1e-9)).all()
    assert (reached <= best * 1.001).all()
    differs = problem.update(exact).sign() != problem.update(stochastic).sign()
    assert differs.double().mean() < 0.002


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("penalty", [1e-2, 1e-4, 1e-6])
def test_stochastic_gradient_descent_converges_with_many_more_units_than_examples_in_the_last_batch(penalty, dtype):
    X, Y, _ = make_hierarchy(1250, n_inputs=20, n_levels=2, n_labels_per_level=3, random_state=0)
    x, targets = torch.as_tensor(X).to(dtype), 2.0 * torch.as_tensor(Y).to(dtype) - 1
    hidden = RandomFeatures(width=256).fit(x, torch.Generator().manual_seed(0))(x)
    problem = Objective(SquaredLoss(), hidden - hidden.mean(0), targets, torch.ones_like(targets), 0 * targets)
    moments = Moments.of(problem.hidden, problem.weights.mean(1))
    penalty = penalty * moments.mean_square.item()
    exact = newton_solution(problem, penalty)
    # 39 batches of 32 leave 2 examples.
    found = sgd.minimise(problem, moments, penalty, torch.Generator().manual_seed(0), batch_size=32, max_epochs=30)
    # In double precision: single precision rounds the values themselves by nearly 1e-6.
    precise = replace(
        problem, hidden=problem.hidden.double(), targets=targets.double(), weights=problem.weights.double()
    )
    best = precise.value(exact.double(), penalty)
    assert (precise.value(found.double(), penalty) <= best * (1 + 1e-6)).all()


@pytest.mark.parametrize("loss", KINDS_OF_LOSS)
def test_stochastic_gradient_descent_never_ends_above_its_start(loss, recwarn):
    problem = random_problem(loss, n=300, dtype=torch.float32)
    moments = Moments.of(problem.hidden / 10, problem.weights.mean(1))  # steps a hundred times too long
    found = sgd.minimise(problem, moments, 1e-6, torch.Generator().manual_seed(0), batch_size=10, max_epochs=3)
    assert (problem.value(found, 1e-6) <= problem.value(0 * found, 1e-6)).all()


def test_stochastic_gradient_descent_ends_on_a_constant_label():
    problem = random_problem("squared", n=300, masked=False)
    problem = Objective(problem.loss, problem.hidden, problem.targets * 0 + 1, problem.weights, problem.offset * 0)
    moments = Moments.of(problem.hidden, problem.weights.mean(1))
    found = sgd.minimise(problem, moments, 0.01, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found[-1], torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-3)


def test_stochastic_gradient_descent_warns_when_it_is_stopped_early():
    problem = random_problem("logistic", n=300)
    moments = Moments.of(problem.hidden, problem.weights.mean(1))
    with pytest.warns(newton.ConvergenceWarning, match="max_epochs=1 "):
        sgd.minimise(problem, moments, 1e-3, torch.Generator().manual_seed(0), max_epochs=1)


@pytest.mark.parametrize("batch_size", [1, 16, 1000])
def test_batch_size_does_not_change_the_minimum(batch_size):
    problem = random_problem("logistic")
    moments = Moments.of(problem.hidden, problem.weights.mean(1))
    found = sgd.minimise(problem, moments, 0.1, torch.Generator().manual_seed(0), batch_size=batch_size)
    torch.testing.assert_close(found, newton_solution(problem, 0.1), rtol=0, atol=2e-3)
