import numpy as np
import pytest
import torch
from torch import nn

from rungwise.teacher import ModuleTeacher
from rungwise.teacher import module as module_teacher


def network(*parts):
    """Return a small network whose weights do not depend on the global seed."""
    built = nn.Sequential(*parts)
    generator = torch.Generator().manual_seed(0)
    for parameter in built.parameters():
        parameter.data.normal_(generator=generator)
    return built


@pytest.fixture
def mlp():
    return network(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def rows(n_samples=101, n_features=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n_samples, n_features)).astype(np.float32)


def test_neurons_are_activations_above_their_medians(mlp):
    X, others = rows(), rows(50, seed=1)
    teacher = ModuleTeacher(mlp, ["1", "3"], X)
    for layer, cut in zip(teacher.neurons(others), (2, 4), strict=True):
        with torch.no_grad():
            fixed, fresh = (mlp[:cut](torch.from_numpy(part)).numpy() for part in (X, others))
        assert layer.dtype == np.int8
        np.testing.assert_array_equal(layer > 0, fresh > np.median(fixed, axis=0))
    # An odd number of rows: one is the median, half of the others lie above it.
    assert all((layer > 0).sum(axis=0).tolist() == [50] * layer.shape[1] for layer in teacher.neurons(X))


def test_medians_are_fixed_once(mlp):
    teacher = ModuleTeacher(mlp, ["3"], rows())
    others = rows(50, seed=1)
    np.testing.assert_array_equal(teacher.neurons(others)[0][:7], teacher.neurons(others[:7])[0])


def test_batches_do_not_matter(mlp, monkeypatch):
    X = rows()
    teacher = ModuleTeacher(mlp, ["1", "3"], X)
    whole = teacher.neurons(X), teacher.outputs(X)
    monkeypatch.setattr(module_teacher, "BATCH_ROWS", 10)
    again = ModuleTeacher(mlp, ["1", "3"], X)
    np.testing.assert_array_equal(np.hstack(again.neurons(X)), np.hstack(whole[0]))
    np.testing.assert_array_equal(again.outputs(X), whole[1])


def test_outputs_are_the_likeliest_class_or_the_sign_of_log_odds(mlp):
    X = rows()
    with torch.no_grad():
        scores = mlp(torch.from_numpy(X)).numpy()
    outputs = ModuleTeacher(mlp, ["1"], X).outputs(X)
    np.testing.assert_array_equal(outputs.argmax(axis=1), scores.argmax(axis=1))
    assert (outputs.sum(axis=1) == -1).all()
    for one in (network(nn.Linear(4, 1)), network(nn.Linear(4, 1), nn.Flatten(0))):
        outputs = ModuleTeacher(one, ["0"], X).outputs(X)
        with torch.no_grad():
            np.testing.assert_array_equal(outputs[:, 0] > 0, one(torch.from_numpy(X)).numpy().ravel() > 0)


def test_hints_are_majorities_of_units(mlp):
    X = rows()
    teacher = ModuleTeacher(mlp, ["1", "3"], X)
    hints = teacher.hints(X, n_hints=7, k=3, coverage=0.5, random_state=0)
    clean = np.hstack([np.sign(g @ w.T) for g, w in zip(teacher.neurons(X), hints.weights, strict=True)])
    shown = ~np.isnan(hints.Y)
    np.testing.assert_array_equal(hints.Y[shown], clean[shown])
    np.testing.assert_array_equal(hints.on(X), clean)
    assert [w.shape for w in hints.weights] == [(7, 6), (7, 5)]


def test_entries_of_feature_maps_are_neurons():
    module = network(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    X = np.random.default_rng(0).standard_normal((40, 2, 6))
    assert ModuleTeacher(module, ["0"], X).neurons(X)[0].shape == (40, 12)


def test_a_layer_after_it_may_work_in_place():
    module = network(nn.Linear(4, 6, bias=False), nn.ReLU(inplace=True), nn.Linear(6, 2))
    X = rows()
    before_relu = ModuleTeacher(module, ["0"], X).medians[0]
    with torch.no_grad():
        np.testing.assert_allclose(before_relu, np.median(module[0](torch.from_numpy(X)).numpy(), axis=0), rtol=1e-6)
    assert (before_relu < 0).any()


def test_module_is_left_as_it_was(mlp):
    module = nn.Sequential(mlp, nn.Dropout(0.5))
    module[0].eval()
    X = rows()
    teacher = ModuleTeacher(module, ["0.1"], X)
    np.testing.assert_array_equal(teacher.outputs(X), teacher.outputs(X))  # no dropout
    assert (module.training, module[0].training, module[1].training) == (True, False, True)
    assert not any(part._forward_hooks for part in module.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())


def test_hooks_are_removed_after_an_error(mlp):
    teacher = ModuleTeacher(mlp, ["1"], rows())
    mlp.train()
    with pytest.raises(RuntimeError):
        teacher.neurons(np.ones((3, 7)))
    assert mlp.training
    assert not any(part._forward_hooks for part in mlp.modules())


def test_tensors_and_arrays_of_any_kind_are_read_and_left_alone(mlp):
    X = rows()
    X.flags.writeable = False
    teacher = ModuleTeacher(mlp, ["1"], X)
    expected = teacher.neurons(X)[0]
    for same in (torch.tensor(X), X.astype(np.float64), X.tolist()):
        np.testing.assert_array_equal(teacher.neurons(same)[0], expected)


def test_whole_numbers_reach_the_module_as_they_are():
    module = network(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    X = np.random.default_rng(0).integers(0, 9, (30, 3))
    assert ModuleTeacher(module, ["1"], X).neurons(X)[0].shape == (30, 12)


class Shared(nn.Module):
    """Runs one layer twice, one never, and one that returns a pair."""

    def __init__(self):
        super().__init__()
        self.twice, self.never, self.pair = nn.ReLU(), nn.ReLU(), nn.GRU(4, 4, batch_first=True)

    def forward(self, x):
        return self.twice(self.twice(self.pair(x[:, None])[0]))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("twice", "'twice' must run once in a forward pass, however: it ran 2 times"),
        ("never", "'never' must run once in a forward pass, however: it ran 0 times"),
        ("pair", "'pair' must return one tensor .*, however: tuple"),
    ],
)
def test_layers_that_are_no_layer_of_neurons_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        ModuleTeacher(Shared(), [layer], rows())


def test_only_outputs_need_a_module_that_returns_scores():
    module = network(nn.Linear(4, 4), nn.GRU(4, 4))
    teacher = ModuleTeacher(module, ["0"], rows())
    assert teacher.neurons(rows())[0].shape == (101, 4)
    with pytest.raises(ValueError, match=r"one tensor of scores, .*, however: tuple"):
        teacher.outputs(rows())


@pytest.mark.parametrize("layers", [[], ["7"], ["1", "1"], "1"])
def test_bad_layers_are_named(mlp, layers):
    with pytest.raises(ValueError, match=r"among \['0', '1', '2', '3', '4'\], however: layers="):
        ModuleTeacher(mlp, layers, rows())


def test_bad_rows_are_named(mlp):
    with pytest.raises(ValueError, match=r"at least one row, however: its shape is \(0, 4\)"):
        ModuleTeacher(mlp, ["1"], rows(0))
    any_length = network(nn.Conv1d(1, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    teacher = ModuleTeacher(any_length, ["0"], np.ones((5, 1, 8)))
    with pytest.raises(ValueError, match=r"layer '0' must have 12 activations .*, however: it has 8"):
        teacher.neurons(np.ones((5, 1, 6)))
    with pytest.raises(ValueError, match=r"one tensor of scores, .*, however: of shape \(5, 2, 6\)"):
        ModuleTeacher(any_length[:1], ["0"], np.ones((5, 1, 8))).outputs(np.ones((5, 1, 8)))
