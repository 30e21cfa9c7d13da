import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.datasets import make_circuit, parse_netlist
from rungwise.theory.boolean import hypercube
from rungwise.theory.ptf import PolynomialThreshold

# The smallest of the ISCAS-85 circuits.
C17 = """
INPUT(1)
INPUT(2)
INPUT(3)
INPUT(6)
INPUT(7)
OUTPUT(22)
OUTPUT(23)
10 = NAND(1, 3)
11 = NAND(3, 6)
16 = NAND(2, 11)
19 = NAND(11, 7)
22 = NAND(10, 16)
23 = NAND(16, 19)
"""

# What each gate means, of a list of bools.
MEANING = {
    "AND": all,
    "NAND": lambda values: not all(values),
    "OR": any,
    "NOR": lambda values: not any(values),
    "XOR": lambda values: sum(values) % 2 == 1,
    "XNOR": lambda values: sum(values) % 2 == 0,
    "NOT": lambda values: not values[0],
    "BUFF": lambda values: values[0],
    "BUF": lambda values: values[0],
}
KINDS = {"AND": "and", "NAND": "nand", "OR": "or", "NOR": "nor", "XOR": "parity", "XNOR": "xnor"}


def one_gate(keyword, fan_in):
    """Return the model of one gate that reads each of ``fan_in`` inputs once."""
    names = [f"x{i}" for i in range(fan_in)]
    lines = [*(f"INPUT({name})" for name in names), f"y = {keyword}({', '.join(names)})"]
    return parse_netlist("\n".join(lines)).to_model()


def test_c17_computes_its_two_outputs():
    model = parse_netlist(C17).to_model()
    rows = hypercube(5)
    x1, x2, x3, x6, x7 = (rows > 0).T
    values = dict(zip(model.label_names, (model(rows) > 0).T, strict=True))
    np.testing.assert_array_equal(values["22"], (x1 & x3) | (x2 & ~(x3 & x6)))
    np.testing.assert_array_equal(values["23"], ~(x3 & x6) & (x2 | x7))
    assert model.label_names == ["10", "11", "16", "19", "22", "23"]
    assert model.level.tolist() == [1, 1, 2, 2, 3, 3]
    assert model.certify().K == 2


def test_every_gate_is_a_label_and_the_model_computes_it():
    X, Y, model = make_circuit(parse_netlist(C17), 500, random_state=0)
    assert X.shape == (500, 5)
    assert Y.shape == (500, 6)
    assert X.dtype == np.float32
    assert Y.dtype == np.int8
    assert set(np.unique(X)) == {-1, 1}
    assert model.input_names == ["1", "2", "3", "6", "7"]
    assert sorted(model.label_names) == ["10", "11", "16", "19", "22", "23"]
    np.testing.assert_array_equal(model(X), 2 * Y - 1)


@pytest.mark.parametrize("keyword", KINDS)
@pytest.mark.parametrize("fan_in", [2, 3, 5])
def test_narrow_gate_has_the_table_of_its_meaning(keyword, fan_in):
    model = one_gate(keyword, fan_in)
    expected = [MEANING[keyword](row) for row in (hypercube(fan_in) > 0).tolist()]
    assert (model(hypercube(fan_in))[:, 0] > 0).tolist() == expected
    assert model.functions[0].kind == KINDS[keyword]
    assert isinstance(model.functions[0].function, np.ndarray)


@pytest.mark.parametrize("keyword", KINDS)
@pytest.mark.parametrize("fan_in", [16, 17, 200])
def test_wide_gate_is_a_threshold_function_with_margin_one(keyword, fan_in):
    model = one_gate(keyword, fan_in)
    f = model.functions[0]
    # Random rows, and those at which an and or an or changes: all alike, and all but one.
    but_one = np.ones((fan_in, fan_in)) - 2 * np.eye(fan_in)
    rows = np.vstack([np.random.default_rng(0).choice([-1.0, 1.0], (50, fan_in)), but_one, -but_one])
    rows = np.vstack([rows, np.ones((1, fan_in)), -np.ones((1, fan_in))])
    expected = [MEANING[keyword](row) for row in (rows > 0).tolist()]
    assert (model(rows)[:, 0] > 0).tolist() == expected
    assert isinstance(f.function, PolynomialThreshold)
    assert f.function.margin(rows) == 1
    assert f.function.polynomial.degree == (fan_in if keyword in ("XOR", "XNOR") else 1)
    assert f.kind == KINDS[keyword]


@pytest.mark.parametrize(
    ("gate", "kind", "parents", "table"),
    [
        ("AND(a)", "buffer", ["a"], [-1, 1]),
        ("NAND(a)", "not", ["a"], [1, -1]),
        ("OR(a, a)", "buffer", ["a"], [-1, 1]),
        ("NOR(a, a, a)", "not", ["a"], [1, -1]),
        ("AND(b, a, b)", "and", ["b", "a"], [-1, -1, -1, 1]),
        ("XOR(a)", "buffer", ["a"], [-1, 1]),
        ("XOR(a, b, a)", "buffer", ["b"], [-1, 1]),
        ("XNOR(a, b, a)", "not", ["b"], [1, -1]),
        ("XOR(a, a, a, b)", "parity", ["a", "b"], [-1, 1, 1, -1]),
        ("XOR(a, a)", "constant", [], [-1]),
        ("XNOR(a, a)", "constant", [], [1]),
        ("BUF(a)", "buffer", ["a"], [-1, 1]),
        ("BUFF(a)", "buffer", ["a"], [-1, 1]),
        ("NOT(a)", "not", ["a"], [1, -1]),
    ],
)
def test_gate_that_reads_a_signal_twice_is_simplified(gate, kind, parents, table):
    model = parse_netlist(f"INPUT(a)\nINPUT(b)\ny = {gate}").to_model()
    (f,) = model.functions
    assert (f.kind, model.parents("y"), f.function.tolist()) == (kind, parents, table)
    assert model.level.tolist() == [1]


@st.composite
def random_circuits(draw):
    """Return inputs and gates {name: (keyword, sources)}; sources are inputs or gates further up, in any number."""
    inputs = [f"i{k}" for k in range(draw(st.integers(1, 4)))]
    gates = {}
    for k in range(draw(st.integers(1, 12))):
        keyword = draw(st.sampled_from(sorted(MEANING)))
        most = 1 if keyword in ("NOT", "BUF", "BUFF") else 18
        sources = draw(st.lists(st.sampled_from([*inputs, *gates]), min_size=1, max_size=most))
        gates[f"g{k}"] = (keyword, sources)
    return inputs, gates


@settings(deadline=None)
@given(random_circuits(), st.data())
def test_random_circuits_agree_with_an_evaluation_gate_by_gate(circuit, data):
    inputs, gates = circuit
    lines = [f"INPUT({name})" for name in inputs]
    for name, (keyword, sources) in gates.items():
        lines.append(f"{name} = {data.draw(st.sampled_from([keyword, keyword.lower()]))}({', '.join(sources)})")
    netlist = parse_netlist("\n".join(data.draw(st.permutations(lines))))
    model = netlist.to_model()

    rows = hypercube(len(inputs))
    expected = []
    for bits in (rows > 0).tolist():
        value = dict(zip(netlist.input_names, bits, strict=True))
        for name, (keyword, sources) in gates.items():
            value[name] = MEANING[keyword]([value[source] for source in sources])
        expected.append([value[name] for name in model.label_names])
    assert (model(rows) > 0).tolist() == expected


def test_shuffling_reorders_the_labels_and_nothing_else():
    netlist = parse_netlist(C17)
    X, Y, model = make_circuit(netlist, 100, random_state=1)
    X_in_order, Y_in_order, in_order = make_circuit(netlist, 100, shuffle=False, random_state=1)
    assert in_order.label_names == ["10", "11", "16", "19", "22", "23"] != model.label_names
    np.testing.assert_array_equal(X, X_in_order)
    for name, column in zip(model.label_names, Y.T, strict=True):
        np.testing.assert_array_equal(column, Y_in_order[:, in_order.label_names.index(name)])
        assert model.parents(name) == in_order.parents(name)


def test_order_does_not_depend_on_the_number_of_samples():
    few, many = (make_circuit(parse_netlist(C17), n, random_state=2)[2] for n in (1, 100))
    assert few.label_names == many.label_names


def test_seed_reproduces_and_seeds_differ():
    first, again, other = (make_circuit(parse_netlist(C17), 50, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[2].label_names == again[2].label_names
    assert (first[0] != other[0]).any()


def test_path_is_read(tmp_path):
    path = tmp_path / "c17.bench"
    path.write_text(C17, encoding="utf-8")
    for netlist in (path, str(path)):
        _, Y, model = make_circuit(netlist, 20, random_state=0)
        _, Y_of_text, model_of_text = make_circuit(parse_netlist(C17), 20, random_state=0)
        np.testing.assert_array_equal(Y, Y_of_text)
        assert model.label_names == model_of_text.label_names


def test_bad_parameters_are_refused_with_their_value(tmp_path):
    with pytest.raises(TypeError, match=r"netlist must be a Netlist or the path of a \.bench file, however: netlist=5"):
        make_circuit(5)
    with pytest.raises(ValueError, match="n_samples must be a whole number of at least 1, however: n_samples=0"):
        make_circuit(parse_netlist(C17), 0)
    with pytest.raises(FileNotFoundError, match=r"absent\.bench"):
        make_circuit(tmp_path / "absent.bench")
