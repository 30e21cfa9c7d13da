import numpy as np
import pytest

from rungwise.datasets import make_hierarchy, parse_netlist
from rungwise.teacher import CircuitTeacher
from rungwise.theory.boolean import hypercube

ADDER = parse_netlist("""
INPUT(a)
INPUT(b)
INPUT(c)
OUTPUT(sum)
OUTPUT(carry)
half = XOR(a, b)
both = AND(a, b)
passed = AND(half, c)
sum = XOR(half, c)
carry = OR(both, passed)
""")


def test_random_circuit_has_the_shape_asked_for():
    teacher = CircuitTeacher.random(n_inputs=7, n_layers=4, n_neurons=5, fan_in=2, random_state=0)
    X = hypercube(7)
    assert [layer.shape for layer in teacher.neurons(X)] == [(128, 5)] * 4
    assert [layer.dtype for layer in teacher.neurons(X)] == [np.int8] * 4
    np.testing.assert_array_equal(teacher.outputs(X), teacher.neurons(X)[-1])


def test_neurons_follow_from_the_layer_below_alone():
    teacher = CircuitTeacher.random(n_inputs=6, n_layers=3, n_neurons=6, random_state=1)
    X = hypercube(6)
    below = X
    for layer in teacher.neurons(X):
        _, where = np.unique(below, axis=0, return_inverse=True)
        for value in range(where.max() + 1):
            assert len(np.unique(layer[where == value], axis=0)) == 1
        below = layer


def test_netlist_has_layers_of_logical_depth_and_its_own_outputs():
    teacher = CircuitTeacher.from_netlist(ADDER)
    X = hypercube(3)
    n_true = (X > 0).sum(axis=1)
    assert teacher.output_names == ["sum", "carry"]
    np.testing.assert_array_equal(teacher.outputs(X) > 0, np.stack([n_true % 2 == 1, n_true >= 2], axis=1))
    a, b, c = (X > 0).T
    layers = [[a ^ b, a & b], [(a ^ b) & c, n_true % 2 == 1], [n_true >= 2]]
    for found, expected in zip(teacher.neurons(X), layers, strict=True):
        np.testing.assert_array_equal(found > 0, np.stack(expected, axis=1))
    assert teacher.hints(X, n_hints=4, random_state=0).layer.tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_netlist_without_outputs_is_there_for_its_last_gates():
    assert CircuitTeacher.from_netlist(parse_netlist("INPUT(a)\nb = NOT(a)\nc = NOT(b)")).output_names == ["c"]


def test_an_input_can_be_an_output():
    model = ADDER.to_model()
    teacher = CircuitTeacher(model, ["c", "half"])
    X = hypercube(3)
    np.testing.assert_array_equal(teacher.outputs(X), np.stack([X[:, 2], -X[:, 0] * X[:, 1]], axis=1))


def test_any_hierarchical_model_can_teach():
    X, Y, model = make_hierarchy(50, 10, 3, 4, random_state=0)
    teacher = CircuitTeacher(model)
    for level, layer in enumerate(teacher.neurons(X), start=1):
        np.testing.assert_array_equal(layer > 0, Y[:, model.level == level])
    np.testing.assert_array_equal(teacher.outputs(X) > 0, Y[:, model.level == 3])


def test_seed_reproduces():
    X = hypercube(5)
    first, again, other = (CircuitTeacher.random(5, 2, 5, random_state=seed).outputs(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_bad_arguments_are_named():
    model = ADDER.to_model()
    with pytest.raises(ValueError, match="the model has no 'difference'"):
        CircuitTeacher(model, ["sum", "difference"])
    with pytest.raises(ValueError, match="output_names is empty"):
        CircuitTeacher(model, [])
    with pytest.raises(ValueError, match=r"X must be of shape \(n_samples, 3\)"):
        CircuitTeacher(model).hints(np.ones((5, 2)), n_hints=1)
    with pytest.raises(ValueError, match="n_layers=0"):
        CircuitTeacher.random(5, 0, 5)
