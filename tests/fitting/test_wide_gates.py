"""Gates of many literals: exact on all rows, of the fewest literals, and only where they are worth their code."""

import numpy as np
import pytest
import torch

from rungwise.features.screening import Screen
from rungwise.fitting.gates import SIGNIFICANT, SURE, Examples
from rungwise.fitting.wide_gates import find_conjunctions, find_thresholds


def prepare(literals, targets, weights=None, of_input=False):
    """Return the screen, the examples and the screened rows for boolean literals (n_literals, n)."""
    literals, targets = torch.as_tensor(literals), torch.as_tensor(targets, dtype=torch.float64)
    weights = torch.ones_like(targets) if weights is None else torch.as_tensor(weights, dtype=torch.float64)
    rows = torch.arange(0, len(targets), 2)
    screen = Screen(targets[rows].float(), weights[rows].float(), len(literals))
    screen.add(torch.where(literals[:, rows], 1.0, -1.0))
    examples = Examples(targets, weights, len(literals))
    examples.add(literals, torch.full((len(literals),), of_input))
    return screen, examples, rows


def conjunctions(literals, targets, weights=None, of_input=False, share=SIGNIFICANT):
    screen, examples, rows = prepare(literals, targets, weights, of_input)
    return find_conjunctions(screen, examples, rows, torch.arange(targets.shape[1]), share)


def thresholds(literals, targets, weights=None):
    screen, examples, _ = prepare(literals, targets, weights)
    return find_thresholds(screen, examples, torch.arange(targets.shape[1]), SIGNIFICANT)


def signs(condition):
    return np.where(condition, 1.0, -1.0)


@pytest.mark.parametrize("seed", range(5))
def test_conjunctions_and_their_complements_are_found(seed):
    rng = np.random.default_rng(seed)
    literals = rng.random((20, 1500)) < 0.7
    sets = [rng.permutation(20)[:width] for width in (4, 5, 6, 7)]
    asked = [rng.random(len(members)) < 0.8 for members in sets]
    true = [(literals[members] == values[:, None]).all(0) for members, values in zip(sets, asked, strict=True)]
    targets = np.stack([signs(true[0]), signs(~true[1]), signs(true[2]), signs(~true[3])], axis=1)
    seen_often = [j for j in range(4) if true[j].sum() > 30]
    gates = conjunctions(literals, targets)
    assert set(seen_often) <= set(gates)
    for label in seen_often:
        gate = gates[label]
        assert set(gate.literals) == set(sets[label].tolist())
        assert gate.error == 0
        assert np.abs(gate.weights).tolist() == [1.0] * len(gate.literals)
        fresh = rng.random((20, 500)) < 0.7
        expected = (fresh[sets[label]] == asked[label][:, None]).all(0) ^ (label % 2 == 1)
        assert gate(torch.as_tensor(fresh[list(gate.literals)])).tolist() == expected.tolist()


def test_an_input_in_a_short_conjunction_needs_more_examples():
    literals = np.random.default_rng(0).random((12, 400)) < 0.2
    targets = signs(literals[0] & literals[1])[:, None]
    assert set(conjunctions(literals, targets, share=SURE)) == {0}
    assert not conjunctions(literals, targets, of_input=True, share=SURE)
    assert set(conjunctions(literals, targets, of_input=True)) == {0}


def test_superfluous_literals_are_dropped():
    rng = np.random.default_rng(0)
    literals = rng.random((10, 1000)) < 0.6
    literals[8] = literals[0] | (rng.random(1000) < 0.5)  # implied by literal 0
    literals[9] = literals[1] | literals[2]
    gates = conjunctions(literals, signs(literals[:4].all(0))[:, None])
    assert set(gates[0].literals) == {0, 1, 2, 3}


def test_a_conjunction_of_most_literals_has_a_short_code():
    # Every pair of ten literals is false on some row: nine of them are needed, in fewer bits than five would take.
    true = torch.ones(10, 5, dtype=torch.bool)
    pairs = torch.combinations(torch.arange(10))
    false = torch.ones(10, len(pairs), dtype=torch.bool)
    false[pairs[:, 0], torch.arange(len(pairs))] = False
    false[pairs[:, 1], torch.arange(len(pairs))] = False
    literals = torch.cat([true, false], dim=1)
    found = conjunctions(literals, signs(literals.all(0))[:, None])
    assert len(found[0].literals) == 9


def test_conjunction_on_annotated_rows_is_enough():
    rng = np.random.default_rng(0)
    literals = rng.random((12, 1000)) < 0.7
    truth = literals[:5].all(0)
    annotated = rng.random(1000) < 0.5
    gates = conjunctions(literals, signs(truth ^ ~annotated)[:, None], annotated[:, None])
    assert set(gates[0].literals) == set(range(5))


def test_one_exception_spoils_a_conjunction():
    literals = np.random.default_rng(0).random((12, 1000)) < 0.7
    for row in (0, 1):  # one that screening looks at, and one that it does not
        truth = literals[:5].all(0)
        truth[row] = ~truth[row]
        assert conjunctions(literals, signs(truth)[:, None]) == {}


@pytest.mark.parametrize("seed", range(20))
def test_rare_random_labels_are_no_conjunctions_worth_their_code(seed):
    rng = np.random.default_rng(seed)
    literals = rng.random((30, 200)) < 0.5
    targets = np.full((200, 6), -1.0)
    for label, n_true in enumerate((1, 2, 3, 4, 6, 10)):
        targets[rng.permutation(200)[:n_true], label] = 1.0
    assert conjunctions(literals, targets) == {}
    assert conjunctions(literals, -targets) == {}


def test_constant_labels_and_no_candidates_are_no_gates():
    literals = np.random.default_rng(0).random((5, 100)) < 0.5
    assert conjunctions(literals, np.ones((100, 1))) == {}
    assert conjunctions(literals, -np.ones((100, 1))) == {}
    assert thresholds(literals, np.ones((100, 1))) == {}


@pytest.mark.parametrize(
    ("weights", "constant"),
    [((1,) * 5, 0), ((1,) * 9, 0), ((2, 1, 1, 1), 0), ((3, -2, 2, 1, -1), 0), ((1, 1, 1, 1), 1), ((1,) * 5, -2)],
)
def test_thresholds_are_found_with_their_weights(weights, constant):
    rng = np.random.default_rng(0)
    literals = rng.random((15, 3000)) < 0.5
    total = np.array(weights) @ signs(literals[: len(weights)]) + constant
    if (total == 0).any():
        constant += 1
        total += 1
    (gate,) = thresholds(literals, signs(total > 0)[:, None]).values()
    assert set(gate.literals) == set(range(len(weights)))
    cube = rng.random((15, 4000)) < 0.5
    expected = np.array(weights) @ signs(cube[: len(weights)]) + constant > 0
    assert gate(torch.as_tensor(cube[list(gate.literals)])).tolist() == expected.tolist()
    # The margin is 1, and whole weights are whole.
    values = np.array(gate.weights) @ signs(cube[list(gate.literals)]) + gate.constant
    assert np.abs(values).min() == pytest.approx(1)
    if len(set(weights)) == 1 and constant == 0:
        assert gate.weights == (1.0,) * len(weights)
        assert gate.constant == 0.0


def test_functions_that_are_no_thresholds_are_left():
    literals = np.random.default_rng(0).random((10, 2000)) < 0.5
    x = signs(literals)
    targets = np.stack([x[0] * x[1], x[0] * x[1] * x[2], np.where(literals[0], x[1], x[2]), x[3] * x[4]], axis=1)
    noise = np.random.default_rng(1).choice([-1.0, 1.0], size=(2000, 4))
    assert thresholds(literals, np.hstack([targets, noise])) == {}


def test_no_labels_ask_for_nothing():
    literals = np.random.default_rng(0).random((5, 100)) < 0.5
    screen, examples, rows = prepare(literals, np.ones((100, 2)))
    nobody = torch.empty(0, dtype=torch.long)
    assert find_thresholds(screen, examples, nobody, SIGNIFICANT) == {}
    assert find_conjunctions(screen, examples, rows, nobody, SIGNIFICANT) == {}
