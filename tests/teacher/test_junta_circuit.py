import numpy as np
import pytest

from rungwise.teacher.junta_circuit import draw_junta_circuit


def test_every_neuron_reads_the_layer_just_below():
    model = draw_junta_circuit(7, 4, 5, 3, np.random.default_rng(0))
    assert model.n_labels == 20
    assert model.level.tolist() == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    level_in_stream = np.concatenate([np.zeros(7, dtype=int), model.level])
    assert all(level_in_stream[parent] == model.level[label] - 1 for parent, label in model.edges)
    assert all(len(f.parents) == 3 for f in model.functions)
    assert [model.label_names[j] for j in (0, 4, 5, 19)] == ["neuron_1_0", "neuron_1_4", "neuron_2_0", "neuron_4_4"]


@pytest.mark.parametrize("fan_in", [1, 2, 3, 4])
def test_tables_are_balanced(fan_in):
    model = draw_junta_circuit(6, 2, 6, fan_in, np.random.default_rng(0))
    assert all(f.function.sum() == 0 for f in model.functions)


def test_all_balanced_tables_and_all_parents_occur():
    model = draw_junta_circuit(4, 1, 500, 2, np.random.default_rng(0))
    assert len({f.function.tobytes() for f in model.functions}) == 6
    assert len({frozenset(f.parents) for f in model.functions}) == 6


def test_seed_reproduces():
    first, again, other = (draw_junta_circuit(6, 3, 6, 3, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.edges == again.edges
    assert all((f.function == g.function).all() for f, g in zip(first.functions, again.functions, strict=True))
    assert first.edges != other.edges


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 1, 5, 3), "n_inputs must be a whole number of at least 3, however: n_inputs=2"),
        ((5, 2, 2, 3), "n_neurons must be a whole number of at least 3, however: n_neurons=2"),
        ((5, 0, 5, 3), "n_layers must be a whole number of at least 1, however: n_layers=0"),
        ((5, 1, 5, 0), "fan_in must be a whole number of at least 1, however: fan_in=0"),
        ((20, 1, 20, 16), "fan_in must be at most 15, however: fan_in=16"),
    ],
)
def test_bad_shapes_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        draw_junta_circuit(*shape, np.random.default_rng(0))


def test_single_layer_may_be_narrower_than_the_fan_in():
    assert draw_junta_circuit(5, 1, 1, 3, np.random.default_rng(0)).n_labels == 1
