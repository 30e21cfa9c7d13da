import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from rungwise.teacher import ModuleTeacher, distil


def network(*widths, activation=nn.ReLU):
    """Return a network whose weights do not depend on the global seed."""
    parts = []
    for n_inputs, n_outputs in pairwise(widths):
        parts += [nn.Linear(n_inputs, n_outputs), activation()]
    built = nn.Sequential(*parts[:-1])
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.data.normal_(generator=generator).div_(parameter.shape[-1] ** 0.5)
    return built


def rows(n_samples, n_features, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features)).astype(np.float32)


@torch.no_grad()
def scores(module, X):
    return module(torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_student_of_all_units_finds_the_teacher_again(activation):
    teacher, X, fresh = network(6, 20, 20, 3, activation=activation), rows(60, 6), rows(200, 6, seed=1)
    student = distil(ModuleTeacher(teacher, ["0", "2"], X), X, n_hints=20, activation=activation(), random_state=0)
    truth = scores(teacher, fresh)
    # From 60 rows, fewer than the teacher's 623 weights: every layer is a linear problem with 20 unknowns a unit.
    assert np.square(scores(student, fresh) - truth).mean() < 1e-4 * truth.var()


def test_without_hints_of_the_layer_between_little_is_learned():
    module, X, fresh = network(6, 20, 20, 3), rows(60, 6), rows(200, 6, seed=1)

    def error(layers):
        student = distil(ModuleTeacher(module, layers, X), X, n_hints=20, random_state=0)
        return np.square(scores(student, fresh) - scores(module, fresh)).mean()

    assert error(["0", "2"]) < 0.01 * error(["2"])


def test_student_is_reproducible_and_global_seeds_stay_alone():
    teacher = ModuleTeacher(network(4, 30, 2), ["0"], rows(8, 4))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (distil(teacher, rows(8, 4), n_hints=12, random_state=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    fresh = rows(10, 4, seed=1)
    np.testing.assert_array_equal(scores(first, fresh), scores(again, fresh))
    assert not np.array_equal(scores(first, fresh), scores(other, fresh))


def test_units_that_say_the_same_are_not_both_chosen():
    module = network(4, 30, 2)
    with torch.no_grad():
        module[0].weight[:25] = module[0].weight[:1]
        module[0].bias[:25] = module[0].bias[:1]
    X = rows(50, 4)
    student = distil(ModuleTeacher(module, ["0"], X), X, n_hints=6, random_state=0)
    learned = student[1].weight.detach().numpy()
    expected = module[0].weight.detach().numpy()[24:]
    np.testing.assert_allclose(learned[learned[:, 0].argsort()], expected[expected[:, 0].argsort()], atol=1e-3)


def test_teacher_is_left_alone():
    module, X = network(4, 30, 2), rows(40, 4)
    before = copy.deepcopy(module.state_dict())
    student = distil(ModuleTeacher(module, ["0"], X), X, n_hints=5, random_state=0)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_images_and_units_that_never_change_are_taken():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    with torch.no_grad():
        module[0].weight[1] = 0  # its four units tell nothing
    X = rows(50, 16).reshape(50, 1, 4, 4)
    student = distil(ModuleTeacher(module, ["0"], X), X, n_hints=8, random_state=0)
    assert [part.out_features for part in student if isinstance(part, nn.Linear)] == [4, 3]
    assert scores(student, X).shape == (50, 3)


@pytest.mark.parametrize(
    ("X", "n_hints", "message"),
    [
        (rows(10, 4), 0, "n_hints must be"),
        (np.full((10, 4), np.nan, dtype=np.float32), 5, "X must be finite, however: 40 entries are not"),
        (np.ones((10, 4), dtype=np.float32), 5, "at least 2"),
        (rows(0, 4), 5, "X must have at least one row"),
    ],
)
def test_wrong_values_are_told(X, n_hints, message):
    teacher = ModuleTeacher(network(4, 30, 2), ["0"], rows(40, 4))
    with pytest.raises(ValueError, match=message):
        distil(teacher, X, n_hints=n_hints)
