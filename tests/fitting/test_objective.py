import pytest
import torch

from rungwise.fitting.losses import LOSSES
from rungwise.fitting.objective import Objective, normalise, weighted_sum


def problem_and_parameters(loss="logistic", n=30, n_units=5, n_labels=3):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = normal(n, n_labels).clamp(min=0)
    objective = Objective(LOSSES[loss](), normal(n, n_units), normal(n, n_labels).sign(), weights, normal(n, n_labels))
    return objective, normal(n_units + 1, n_labels)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_gradient_is_that_of_automatic_differentiation(loss, penalty):
    objective, parameters = problem_and_parameters(loss)
    parameters.requires_grad_(True)
    (expected,) = torch.autograd.grad(objective.value(parameters, penalty).sum(), parameters)
    torch.testing.assert_close(objective.gradient(parameters.detach(), penalty), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_gradient_is_that_of_central_differences(loss):
    objective, parameters = problem_and_parameters(loss)
    gradient = objective.gradient(parameters, 0.3)
    step = 1e-6
    for unit in range(objective.n_parameters):
        nudge = torch.zeros_like(parameters)
        nudge[unit] = step
        difference = objective.value(parameters + nudge, 0.3) - objective.value(parameters - nudge, 0.3)
        torch.testing.assert_close(gradient[unit], difference / (2 * step), rtol=0, atol=1e-7)


def test_value_is_the_formula():
    objective, parameters = problem_and_parameters()
    for j in range(3):
        total = objective.weights[:, j].sum()
        expected = 0.7 / 2 * (parameters[:-1, j] ** 2).sum()
        for i in range(30):
            score = objective.offset[i, j] + objective.hidden[i] @ parameters[:-1, j] + parameters[-1, j]
            margin = objective.targets[i, j] * score
            expected += objective.weights[i, j] / total * torch.log1p(torch.exp(-margin))
        torch.testing.assert_close(objective.value(parameters, 0.7)[j], expected)


def test_adjoint_is_the_transpose_of_update():
    objective, parameters = problem_and_parameters()
    residuals = torch.randn(30, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left = (residuals * objective.update(parameters)).sum()
    torch.testing.assert_close(left, (objective.adjoint(residuals) * parameters).sum())


def test_scale_of_weights_does_not_matter():
    objective, parameters = problem_and_parameters()
    scaled = Objective(
        objective.loss,
        objective.hidden,
        objective.targets,
        objective.weights * torch.tensor([0.1, 5, 1e6]),
        objective.offset,
    )
    torch.testing.assert_close(scaled.value(parameters, 0.1), objective.value(parameters, 0.1))


def test_select_keeps_rows():
    objective, parameters = problem_and_parameters()
    rows = torch.tensor([3, 1, 4])
    torch.testing.assert_close(objective.select(rows).update(parameters), objective.update(parameters)[rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalised_columns_sum_to_one_and_columns_of_zeros_stay(dtype):
    weights = torch.tensor([[1.0, 0.0, 1e-30], [3.0, 0.0, 1e-30]], dtype=dtype)
    torch.testing.assert_close(normalise(weights), torch.tensor([[0.25, 0, 0.5], [0.75, 0, 0.5]], dtype=dtype))


def test_weighted_sum_is_by_column():
    values, weights = torch.arange(6.0).reshape(3, 2), torch.tensor([[1.0, 0], [0, 1], [2, 2]])
    torch.testing.assert_close(weighted_sum(values, weights), torch.tensor([8.0, 13.0]))
