"""Names of gates say what the truth table is: the text is read and evaluated."""

import re
from itertools import permutations, product

import numpy as np
import pytest

from rungwise.theory.boolean import hypercube, majority, multiplexer, parity
from rungwise.theory.gate_names import name_gate

NAMES = ["a", "b", "c"]
GATES = {
    "and": all,
    "or": any,
    "nand": lambda bits: not all(bits),
    "nor": lambda bits: not any(bits),
    "xor": lambda bits: sum(bits) % 2 == 1,
    "xnor": lambda bits: sum(bits) % 2 == 0,
    "majority": lambda bits: 2 * sum(bits) > len(bits),
    "multiplexer": lambda bits: bits[1] if bits[0] else bits[2],
}


def evaluate(text, values):
    """Return the value of a text such as "and(a, not b)" for values of the names."""
    call = re.fullmatch(r"(\w+)\((.*)\)", text)

    def argument(word):
        return not values[word.removeprefix("not ")] if word.startswith("not ") else values[word]

    return GATES[call[1]]([argument(word) for word in call[2].split(", ")]) if call else argument(text)


def table_of_text(text, K):
    rows = hypercube(K) > 0
    return [1 if evaluate(text, dict(zip(NAMES[:K], row, strict=True))) else -1 for row in rows.tolist()]


def depends_on_all(table, K):
    cube = np.array(table).reshape((2,) * K)
    return all((np.take(cube, 0, axis) != np.take(cube, 1, axis)).any() for axis in range(K))


@pytest.mark.parametrize("K", [1, 2, 3])
def test_a_name_evaluates_to_its_table(K):
    n_named = 0
    for table in product((-1, 1), repeat=2**K):
        text = name_gate(np.array(table), NAMES[:K])
        if text is not None:
            n_named += 1
            assert table_of_text(text, K) == list(table), text
    # Of 3 bits: 8 negations each of and and or, 2 parities, 8 majorities and 24 multiplexers, half of them with the
    # selector negated, which swaps the others.
    assert n_named == {1: 2, 2: 10, 3: 8 + 8 + 2 + 8 + 24}[K]


def test_every_function_of_two_bits_that_depends_on_both_has_a_name():
    for table in product((-1, 1), repeat=4):
        assert (name_gate(np.array(table), NAMES[:2]) is not None) == depends_on_all(table, 2)


@pytest.mark.parametrize("gate", [majority(3), multiplexer(), parity(3), -parity(3)])
def test_named_gates_are_known_under_all_orders_and_negations(gate):
    cube = hypercube(3)
    for order in permutations(range(3)):
        for negated in product((1, -1), repeat=3):
            inputs = cube[:, order] * np.array(negated)
            table = gate[((inputs > 0) @ [4, 2, 1])]
            text = name_gate(table, NAMES)
            assert table_of_text(text, 3) == table.tolist()


def test_few_arguments_are_negated():
    assert name_gate(np.array([1, 1, 1, -1]), ["a", "b"]) == "nand(a, b)"
    assert name_gate(np.array([1, -1]), ["a"]) == "not a"
    assert name_gate(-majority(3), NAMES).count("not") == 3
    assert name_gate(parity(3), NAMES) == "xor(a, b, c)"


def test_functions_without_a_name_have_none():
    exactly_one = np.where((hypercube(3) > 0).sum(axis=1) == 1, 1, -1)
    assert name_gate(exactly_one, NAMES) is None
    for K, value in product((1, 2, 3), (-1, 1)):
        assert name_gate(np.full(2**K, value), NAMES[:K]) is None
    assert name_gate(parity(4), ["a", "b", "c", "d"]) is None


def test_names_are_taken_as_they_are():
    assert name_gate(np.array([-1, -1, -1, 1]), ["{0}", "age > 50"]) == "and({0}, age > 50)"
