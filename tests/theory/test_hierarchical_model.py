import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.theory.boolean import conjunction, disjunction, hypercube, majority, multiplexer, parity
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction
from rungwise.theory.polynomial import Polynomial
from rungwise.theory.ptf import PolynomialThreshold

GATES = [(majority(3), "majority"), (parity(2), "parity"), (multiplexer(), "multiplexer"), (conjunction(2), "and")]


def full_adder():
    """Sum and carry of three bits, the sum through an intermediate label listed last."""
    return HierarchicalModel(
        3,
        [
            LabelFunction("sum", (3 + 2, 2), parity(2), "parity"),
            LabelFunction("carry", (0, 1, 2), majority(3), "majority"),
            LabelFunction("half", (0, 1), parity(2), "parity"),
        ],
        input_names=["a", "b", "c"],
    )


def random_model(seed, n_inputs=5, n_levels=4, width=4):
    """Layers of random gates that read the layer below only, listed in a random order."""
    rng = np.random.default_rng(seed)
    functions, below = [], list(range(n_inputs))
    for level in range(n_levels):
        start = n_inputs + len(functions)
        for j in range(width):
            table, kind = GATES[rng.integers(len(GATES))]
            parents = rng.choice(below, size=len(table).bit_length() - 1, replace=False)
            functions.append(LabelFunction(f"l{level}_{j}", tuple(parents), table, kind))
        below = list(range(start, start + width))
    return HierarchicalModel(n_inputs, functions).permuted(rng.permutation(len(functions)))


# A disc in the square, and which half; the last label wants both.
DISC = HierarchicalModel(
    2,
    [
        LabelFunction("inside", (0, 1), PolynomialThreshold(Polynomial([[0, 0], [2, 0], [0, 2]], [0.5, -1, -1]))),
        LabelFunction("right", (0,), PolynomialThreshold(Polynomial([[1]], [1]))),
        LabelFunction("both", (2, 3), PolynomialThreshold(Polynomial([[0, 0], [1, 0], [0, 1]], [-0.5, 0.5, 0.5]))),
    ],
)


def test_full_adder_adds():
    X = hypercube(3)
    Y = full_adder()(X)
    assert Y.dtype == np.int8
    total = (X > 0).sum(axis=1)
    np.testing.assert_array_equal(Y[:, 0] > 0, total % 2 == 1)
    np.testing.assert_array_equal(Y[:, 1] > 0, total >= 2)
    np.testing.assert_array_equal(Y[:, 2], -X[:, 0] * X[:, 1])


def test_names_levels_and_edges():
    model = full_adder()
    assert (model.n_inputs, model.n_labels) == (3, 3)
    assert model.label_names == ["sum", "carry", "half"]
    assert model.level.tolist() == [2, 1, 1]
    assert [layer.tolist() for layer in model.layers] == [[1, 2], [0]]
    assert model.parents("sum") == model.parents(0) == ["half", "c"]
    assert model.edges == [(5, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2), (1, 2)]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_order_of_labels_does_not_matter(seed):
    model = random_model(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(model.n_labels)
    other = model.permuted(order)
    X = rng.choice([-1, 1], (30, model.n_inputs))
    np.testing.assert_array_equal(other(X), model(X)[:, order])
    np.testing.assert_array_equal(other.level, model.level[order])
    assert [other.parents(i) for i in range(other.n_labels)] == [model.parents(int(j)) for j in order]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_each_label_is_its_function_of_its_parents(seed):
    model = random_model(seed)
    X = hypercube(model.n_inputs)
    stream = np.hstack([X, model(X)])
    for j, f in enumerate(model.functions):
        rows = (stream[:, list(f.parents)] > 0) @ (2 ** np.arange(len(f.parents))[::-1])
        np.testing.assert_array_equal(stream[:, model.n_inputs + j], f.function[rows])


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 2, 3]))
@settings(max_examples=20, deadline=None)
def test_certificate_holds_on_every_input(seed, degree):
    model = random_model(seed)
    certificate = model.certify(degree=degree)
    X = hypercube(model.n_inputs)
    stream = np.hstack([X, model(X)])
    for j, (f, p) in enumerate(zip(model.functions, certificate.polynomials, strict=True)):
        values = p(stream[:, list(f.parents)])
        assert (stream[:, model.n_inputs + j] * values).min() >= 1 - 1e-9
        assert np.abs(values).max() <= certificate.bound[j] + 1e-9 <= certificate.B + 2e-9
        assert p.norm == certificate.norm[j] <= certificate.M
        assert p.degree == certificate.degree[j] <= certificate.K
    assert certificate.r == model.level.max()
    assert certificate.n_rows is None
    # Every gate reads the layer just below, so the paper's nested sets are met to the letter.
    assert certificate.reads_inputs_above_level_one == ()


def test_fourier_certificate_has_norm_and_bound_one():
    certificate = full_adder().certify()
    assert (certificate.r, certificate.K) == (2, 3)
    np.testing.assert_allclose([certificate.M, certificate.B], (1, 1))
    assert certificate.degree.tolist() == [2, 3, 2]


def test_label_that_reads_an_input_above_level_one_is_stated():
    assert full_adder().certify().reads_inputs_above_level_one == ("sum",)


def test_lower_degree_costs_norm_and_bound():
    votes = HierarchicalModel(3, [LabelFunction("vote", (0, 1, 2), majority(3), "majority")])
    certificate = votes.certify(degree=1)
    assert certificate.K == 1
    np.testing.assert_allclose([certificate.M, certificate.B], (3**0.5, 3))


def test_degree_too_low_names_the_label():
    with pytest.raises(ValueError, match=r"label 'sum': .*degree=1"):
        full_adder().certify(degree=1)
    with pytest.raises(ValueError, match="degree=-1"):
        full_adder().certify(degree=-1)


def test_real_inputs_are_certified_on_given_rows():
    X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    X = X[(np.abs(0.5 - (X**2).sum(axis=1)) > 0.1) & (np.abs(X[:, 0]) > 0.05)]
    Y = DISC(X)
    np.testing.assert_array_equal(Y[:, 0] > 0, (X**2).sum(axis=1) <= 0.5)
    np.testing.assert_array_equal(Y[:, 2] > 0, (Y[:, 0] > 0) & (Y[:, 1] > 0))
    certificate = DISC.certify(X)
    assert (certificate.r, certificate.K, certificate.n_rows) == (2, 2, len(X))
    margin = np.abs(0.5 - (X**2).sum(axis=1)).min()
    assert certificate.norm[0] == pytest.approx(1.5 / margin)
    for j, columns in enumerate(([0, 1], [0], [2, 3])):
        values = certificate.polynomials[j](np.hstack([X, Y])[:, columns])
        assert (values * Y[:, j]).min() == pytest.approx(1)
        assert np.abs(values).max() <= certificate.bound[j] + 1e-12
    # A threshold of labels holds on all their values: margin 1/2 becomes 1.
    assert str(certificate.polynomials[2]) == "-1 + x0 + x1"


def test_real_inputs_without_rows_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"'inside'.*pass rows as certify\(X=\.\.\.\)"):
        DISC.certify()


def test_polynomial_without_margin_can_be_refitted():
    # sign(x + y) is "or", since sign(0) = +1, but x + y itself has no margin.
    level_one = [LabelFunction(n, (i,), np.array([-1, 1])) for i, n in enumerate("ab")]
    either = LabelFunction("either", (2, 3), PolynomialThreshold(Polynomial([[1, 0], [0, 1]], [1, 1])))
    model = HierarchicalModel(2, [*level_one, either])
    np.testing.assert_array_equal(model(hypercube(2))[:, 2], disjunction(2))
    with pytest.raises(ValueError, match="label 'either': the polynomial has no margin"):
        model.certify()
    certificate = model.certify(degree=1)
    assert str(certificate.polynomials[2]) == "1 + x0 + x1"


def test_label_without_parents_is_constant():
    model = HierarchicalModel(
        0, [LabelFunction("yes", (), np.array([1])), LabelFunction("no", (0,), np.array([1, -1]))]
    )
    assert model.level.tolist() == [1, 2]
    np.testing.assert_array_equal(model(np.empty((2, 0))), [[1, -1], [1, -1]])
    assert model.certify().degree.tolist() == [0, 1]


def test_graph_has_the_same_edges_and_attributes():
    model = full_adder()
    graph = model.to_networkx()
    assert set(graph.edges) == {(p, label) for label in model.label_names for p in model.parents(label)}
    assert graph.nodes["sum"] == {"level": 2, "kind": "parity"}
    assert graph.nodes["a"] == {"level": 0, "kind": "input"}
    assert DISC.to_networkx().nodes["right"]["kind"] == "ptf"


def test_circle_is_refused():
    identity = np.array([-1, 1])
    with pytest.raises(ValueError, match=r"in a circle, however: (a -> b -> a|b -> a -> b)"):
        HierarchicalModel(1, [LabelFunction("a", (2,), identity), LabelFunction("b", (1,), identity)])


def test_bad_models_are_named():
    identity = LabelFunction("a", (0,), np.array([-1, 1]))
    with pytest.raises(ValueError, match=r"0 … 1 .*parents=\(2,\)"):
        HierarchicalModel(1, [LabelFunction("a", (2,), np.array([-1, 1]))])
    with pytest.raises(ValueError, match=r"parents=\(-1,\)"):
        HierarchicalModel(1, [LabelFunction("a", (-1,), np.array([-1, 1]))])
    with pytest.raises(ValueError, match=r"repeated names=\['a'\]"):
        HierarchicalModel(1, [identity, identity])
    with pytest.raises(ValueError, match=r"repeated names=\['a'\]"):
        HierarchicalModel(1, [identity], input_names=["a"])
    with pytest.raises(ValueError, match="must hold 1 names"):
        HierarchicalModel(1, [identity], input_names=["p", "q"])
    with pytest.raises(ValueError, match="at least one label"):
        HierarchicalModel(1, [])
    with pytest.raises(ValueError, match="n_inputs=-1"):
        HierarchicalModel(-1, [identity])
    with pytest.raises(ValueError, match=r"parents=\(0, 0\)"):
        LabelFunction("a", (0, 0), parity(2))
    with pytest.raises(ValueError, match=r"arguments, 2, however: parents=\(0,\)"):
        LabelFunction("a", (0,), parity(2))


def test_bad_inputs_are_named():
    model = full_adder()
    with pytest.raises(ValueError, match=r"X\.shape=\(2, 4\)"):
        model(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"it holds 3\.0"):
        model(np.full((1, 3), 3.0))
    with pytest.raises(ValueError, match="it holds nan"):
        DISC(np.full((1, 2), np.nan))
    with pytest.raises(ValueError, match=r"-1 \(false\) or \+1 \(true\).*0\.5"):
        model(np.full((1, 3), 0.5))
    with pytest.raises(ValueError, match=r"order=\[0, 0, 1\]"):
        model.permuted([0, 0, 1])
    for label in ("nope", 3, -1):
        with pytest.raises(ValueError, match=f"label={label!r}"):
            model.parents(label)
