import numpy as np
import pytest

from rungwise.datasets import make_automaton

# Written out as in the literature: new states for the neighbourhoods 111, 110, 101, 100, 011, 010, 001, 000.
WRITTEN_OUT = {30: "00011110", 90: "01011010", 110: "01101110", 184: "10111000"}


def step(states, table):
    """Return the next states of one ring, cell by cell, from a table {(left, own, right): new}."""
    n_cells = len(states)
    return [table[states[g - 1], states[g], states[(g + 1) % n_cells]] for g in range(n_cells)]


@pytest.mark.parametrize("rule", WRITTEN_OUT)
def test_states_follow_the_table_of_the_rule(rule):
    neighbourhoods = [(a, b, c) for a in (1, 0) for b in (1, 0) for c in (1, 0)]
    table = dict(zip(neighbourhoods, map(int, WRITTEN_OUT[rule]), strict=True))
    X, Y, _ = make_automaton(5, rule, n_cells=11, n_steps=7, random_state=0)
    for row in range(5):
        states = (X[row, :, 0] > 0).astype(int).tolist()
        for t in range(7):
            states = step(states, table)
            assert Y[row, :, t].tolist() == states


@pytest.mark.parametrize("rule", range(256))
def test_every_rule_has_its_number(rule):
    X, Y, _ = make_automaton(20, rule, n_cells=32, n_steps=1, random_state=0)
    bits = (X[:, :, 0] > 0).astype(int)
    number = 4 * np.roll(bits, 1, axis=1) + 2 * bits + np.roll(bits, -1, axis=1)
    found = {int(n): int(new) for n, new in zip(number.ravel(), Y.ravel(), strict=True)}
    assert sum(new << n for n, new in found.items()) == rule


def test_shapes_types_and_levels():
    X, Y, level = make_automaton(random_state=0)
    assert X.shape == (20, 128, 1)
    assert Y.shape == (20, 128, 100)
    assert X.dtype == np.float32
    assert Y.dtype == np.int8
    assert set(np.unique(X)) == {-1, 1}
    assert set(np.unique(Y)) == {0, 1}
    np.testing.assert_array_equal(level, np.arange(1, 101))


def test_turning_the_ring_turns_the_states():
    # A single cell on: whatever grows from it does not know where on the ring it is.
    X, Y, _ = make_automaton(300, 110, n_cells=3, n_steps=5, random_state=1)
    known = {tuple(x[:, 0]): y for x, y in zip(X, Y, strict=True)}
    np.testing.assert_array_equal(known[1, -1, -1], np.roll(known[-1, 1, -1], -1, axis=0))


def test_more_steps_extend_the_same_run():
    X, Y, _ = make_automaton(4, n_steps=5, random_state=2)
    X_longer, Y_longer, _ = make_automaton(4, n_steps=9, random_state=2)
    np.testing.assert_array_equal(X, X_longer)
    np.testing.assert_array_equal(Y, Y_longer[:, :, :5])


def test_seed_reproduces_and_seeds_differ():
    first, again, other = (make_automaton(2, n_cells=20, n_steps=3, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rule": 256}, "rule must be at most 255, however: rule=256"),
        ({"rule": -1}, "rule must be a whole number of at least 0, however: rule=-1"),
        ({"n_cells": 2}, "n_cells must be a whole number of at least 3, however: n_cells=2"),
        ({"n_steps": 0}, "n_steps must be a whole number of at least 1, however: n_steps=0"),
        ({"n_samples": 1.5}, r"n_samples must be a whole number of at least 1, however: n_samples=1\.5"),
    ],
)
def test_bad_parameters_are_refused_with_their_value(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_automaton(**parameters)
