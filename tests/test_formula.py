"""Formulas: polynomials with the right signs, the least degree, and text that people can read."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rungwise import RungwiseClassifier
from rungwise.fitting.gates import Gate
from rungwise.formula import Formula, gate_formula
from rungwise.theory import hypercube, ptf_degree
from rungwise.theory.boolean import majority

NAMES = ["a", "b", "c", "d", "e"]


def of_table(table, error=0.0):
    K = len(table).bit_length() - 1
    gate = Gate(tuple(range(K)), error, 10.0, torch.tensor([value > 0 for value in table]))
    return gate_formula(gate, 1.0 if error == 0 else -1.0, "y", NAMES[:K], range(K))


def of_threshold(weights, constant=0.0):
    gate = Gate(tuple(range(len(weights))), 0.0, 10.0, weights=tuple(map(float, weights)), constant=constant)
    return gate_formula(gate, 1.0, "y", NAMES[: len(weights)], range(len(weights)))


@pytest.mark.parametrize("K", [1, 2, 3])
def test_polynomial_has_the_signs_margin_one_and_the_least_degree(K):
    cube = hypercube(K)
    for rest in product((-1, 1), repeat=2**K - 1):
        table = (-1, *rest)  # of each function and its complement, one
        formula = of_table(table)
        values = formula.polynomial(cube)
        assert np.sign(values).tolist() == list(table)
        assert np.abs(values).min() >= 1 - 1e-9
        assert formula.degree == ptf_degree(cube, np.array(table), K)
        # The Fourier expansion has norm 1, and no polynomial of margin 1 has less.
        assert formula.norm >= 1 - 1e-9


def test_degree_and_norm_of_known_gates():
    vote, parity = of_table(majority(3).tolist()), of_table([-1, 1, 1, -1])
    assert (vote.degree, parity.degree) == (1, 2)
    assert vote.norm == pytest.approx(3**0.5)
    assert parity.norm == pytest.approx(1)
    assert str(vote) == "y = majority(a, b, c)"
    assert parity.text == "xor(a, b)"


@given(st.lists(st.sampled_from([-1, 1]), min_size=8, max_size=8), st.floats(0, 0.4))
def test_dictionary_round_trip(table, error):
    formula = of_table(table, error)
    again = Formula.from_dict(json.loads(json.dumps(formula.to_dict())))
    assert again.to_dict() == formula.to_dict()
    assert str(again) == str(formula)
    for field in ("parents", "literals", "error", "margin"):
        assert getattr(again, field) == getattr(formula, field)
    np.testing.assert_array_equal(again.polynomial(hypercube(3)), formula.polynomial(hypercube(3)))


@pytest.mark.parametrize(
    ("weights", "constant", "text"),
    [
        ((1, 1, 1, 1, 1), 0, "majority(a, b, c, d, e)"),
        ((1, -1, 1), 0, "majority(a, not b, c)"),
        ((1, 1, 1, 1), -3, "and(a, b, c, d)"),
        ((1, -1, 1, 1), -3, "and(a, not b, c, d)"),
        ((-1, -1, -1, -1), -3, "nor(a, b, c, d)"),
        ((1, 1, 1, 1), 3, "or(a, b, c, d)"),
        ((-1, -1, -1, -1), 3, "nand(a, b, c, d)"),
    ],
)
def test_thresholds_that_are_known_gates_have_their_name(weights, constant, text):
    formula = of_threshold(weights, constant)
    assert formula.text == text
    cube = hypercube(len(weights))
    assert np.array_equal(formula.polynomial(cube), cube @ np.array(weights) + constant)
    assert formula.degree == 1


@pytest.mark.parametrize("weights", [(2, 1, 1, 1), (3, 2, 2, 1, 1)])
def test_other_thresholds_are_written_as_polynomials(weights):
    formula = of_threshold(weights)
    assert formula.text == f"sign({formula.polynomial.formula(NAMES[: len(weights)])})"
    assert formula.text.startswith(f"sign({weights[0]} a + ")


def test_statements_are_bracketed_in_polynomials_only():
    gate = Gate((0, 1, 2), 0.0, 0.0, torch.tensor([False, True, True, False, True, False, False, False]))
    assert "[age > 50]" in gate_formula(gate, 1.0, "y", ["age > 50", "b", "c"], range(3)).text
    both = Gate((0, 1), 0.0, 0.0, torch.tensor([False, False, False, True]))
    assert gate_formula(both, 1.0, "y", ["age > 50", "b"], range(2)).text == "and(age > 50, b)"


def test_thresholds_are_in_the_units_of_the_user():
    rng = np.random.default_rng(0)
    age, weight, smokes = rng.integers(20, 32, 800), rng.choice([50.5, 60.5, 70.5, 90.5], 800), rng.integers(0, 2, 800)
    X = np.column_stack([age, weight, smokes]).astype(float)
    Y = np.column_stack([(age > 25) & (weight <= 65), (weight > 65) | (smokes == 1)])
    hierarchy = RungwiseClassifier(random_state=0).fit(X, Y).hierarchy_
    assert hierarchy.formula(0).text == "and(x0 > 25.5, not x1 > 65.5)"
    assert hierarchy.formula(1).text == "or(x1 > 65.5, x2)"
    assert sorted(hierarchy.parents(0)) == ["x0", "x1"]


def test_majority_of_five_is_called_so():
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(1000, 9))
    hierarchy = RungwiseClassifier(random_state=0).fit(X, (X[:, 2:7].sum(1) > 0)[:, None]).hierarchy_
    assert sorted(hierarchy.formula(0).literals) == ["x2", "x3", "x4", "x5", "x6"]
    assert hierarchy.formula(0).text.startswith("majority(")


@pytest.mark.parametrize("flipped", [0.0, 0.1])
def test_margin_is_the_least_over_the_annotated_training_rows(flipped):
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(2000, 6))
    Y = np.column_stack([X[:, :3].sum(1) > 0, X[:, 3:].sum(1) == 3, X[:, 0] * X[:, 5] > 0])
    Y = (Y ^ (rng.random(Y.shape) < flipped)).astype(float)
    Y[::3, 0] = np.nan
    hierarchy = RungwiseClassifier(random_state=0).fit(X, Y).hierarchy_
    for label in range(3):
        formula, seen = hierarchy.formula(label), ~np.isnan(Y[:, label])
        margins = (2 * Y[seen, label] - 1) * formula.polynomial(X[seen][:, list(formula.parents)])
        assert formula.margin == pytest.approx(margins.min())
        assert formula.error == pytest.approx((margins < 0).mean())
        assert formula.margin == pytest.approx(1) if flipped == 0 else formula.margin <= -1


def test_label_without_a_formula_has_none():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(200, 4))
    hierarchy = RungwiseClassifier(random_state=0).fit(X, rng.integers(0, 2, size=(200, 2))).hierarchy_
    assert hierarchy.formula(0) is None
    with pytest.raises(KeyError, match="no label is called 'z'"):
        hierarchy.formula("z")
