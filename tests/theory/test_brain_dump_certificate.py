import numpy as np
import pytest

from rungwise.teacher.junta_circuit import draw_junta_circuit
from rungwise.theory.boolean import hypercube, parity
from rungwise.theory.brain_dump import draw_hint_weights, majority_hints
from rungwise.theory.brain_dump_certificate import certify_brain_dump
from rungwise.theory.hierarchical_model import HierarchicalModel, LabelFunction


def circuit(seed, n_neurons=5, n_layers=3, fan_in=2):
    return draw_junta_circuit(n_neurons, n_layers, n_neurons, fan_in, np.random.default_rng(seed))


def hint_weights(model, n_hints, k, seed):
    rng = np.random.default_rng(seed)
    return [draw_hint_weights(n_hints, len(layer), k, rng) for layer in model.layers]


def by_level(model, weights, X):
    """Return the values that hints of each level read, and the hints, at the rows of X."""
    values = model(X)
    hints = [majority_hints(values[:, layer], votes) for layer, votes in zip(model.layers, weights, strict=True)]
    return zip([X, *hints[:-1]], hints, strict=True)


@pytest.mark.parametrize("seed", range(3))
def test_every_hint_is_a_threshold_function_of_the_hints_below(seed):
    model = circuit(seed)
    weights = hint_weights(model, 20, 3, seed)
    certificate = certify_brain_dump(model, weights, degree=2)
    assert (certificate.r, certificate.n_rows, certificate.reads_inputs_above_level_one) == (3, None, ())
    assert certificate.K <= 2
    polynomials = iter(certificate.polynomials)
    margins, bounds = [], []
    for below, hints in by_level(model, weights, hypercube(5)):
        for column in hints.T:
            values = next(polynomials)(below)
            margins.append((values * column).min())
            bounds.append(np.abs(values).max())
    assert next(polynomials, None) is None
    assert min(margins) > 1 - 1e-9
    np.testing.assert_allclose(bounds, certificate.bound)
    assert pytest.approx(max(bounds)) == certificate.B
    assert max(p.norm for p in certificate.polynomials) == certificate.M


def test_first_hints_have_no_larger_norm_than_the_sum_of_their_neurons():
    # The sum of k signed juntas has margin 1, and by the triangle inequality a norm of at most k.
    model = circuit(1, n_layers=1)
    certificate = certify_brain_dump(model, hint_weights(model, 20, 3, 1), degree=2)
    assert certificate.M <= 3 + 1e-9


def test_neurons_told_one_by_one_are_certified_as_the_circuit_is():
    # All values of the parents of level 1 are reachable: there a hint is a gate, whose least norm is 1.
    model = circuit(2, fan_in=3)
    certificate = certify_brain_dump(model, [np.eye(5, dtype=int)] * 3, degree=3)
    np.testing.assert_allclose(certificate.norm[:5], model.certify(degree=3).norm[:5])
    # Above it fewer values are reachable, and every other neuron may help.
    assert (certificate.norm[5:] <= 1 + 1e-9).all()


def test_more_hints_below_never_raise_the_norm():
    model = circuit(3, n_layers=2)
    low, high = hint_weights(model, 40, 3, 3)
    norms = [certify_brain_dump(model, [low[:q], high[:10]], degree=2).norm[q:] for q in (15, 25, 40)]
    assert (norms[1] <= norms[0] + 1e-6).all()
    assert (norms[2] <= norms[1] + 1e-6).all()
    assert norms[2].max() < norms[0].max() / 1.5


def test_hints_that_tell_too_little_are_named():
    odd = [LabelFunction(f"g{j}", (j, (j + 1) % 3), parity(2)) for j in range(3)]
    top = [LabelFunction("top", (3, 4), parity(2))]
    model = HierarchicalModel(3, [*odd, *top])
    only_the_first = np.array([[1, 0, 0]])
    with pytest.raises(ValueError, match="hint 0 of level 2: the labels are no polynomial threshold function"):
        certify_brain_dump(model, [only_the_first, np.array([[1]])], degree=2)
    with pytest.raises(ValueError, match=r"hint 0 of level 1: .*degree <= 1"):
        certify_brain_dump(model, [only_the_first, np.array([[1]])], degree=1)
    # All three parities of pairs are even in number: the top one is the first times the second.
    certificate = certify_brain_dump(model, [np.eye(3, dtype=int), np.array([[1]])], degree=2)
    assert (certificate.r, certificate.K) == (2, 2)


def test_given_rows_are_what_is_certified():
    model = circuit(4)
    weights = hint_weights(model, 12, 3, 4)
    rows = hypercube(5)[::3]
    certificate = certify_brain_dump(model, weights, degree=2, X=rows)
    assert certificate.n_rows == len(rows)
    polynomials = iter(certificate.polynomials)
    for below, hints in by_level(model, weights, rows):
        for column in hints.T:
            assert (next(polynomials)(below) * column).min() > 1 - 1e-9


def test_bad_arguments_are_named():
    model = circuit(5)
    weights = hint_weights(model, 3, 3, 5)
    with pytest.raises(
        ValueError, match=r"3 levels, .* have \[5, 5, 5\], however: the shapes are \[\(3, 5\), \(3, 5\)\]"
    ):
        certify_brain_dump(model, weights[:2], degree=2)
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        certify_brain_dump(model, [*weights[:2], np.ones((3, 4))], degree=2)
    with pytest.raises(ValueError, match="degree must be a whole number of at least 0, however: degree=-1"):
        certify_brain_dump(model, weights, degree=-1)
    wide = circuit(5, n_neurons=17, n_layers=1)
    with pytest.raises(ValueError, match=r"n_inputs=17; pass the rows .* as X"):
        certify_brain_dump(wide, hint_weights(wide, 1, 3, 0), degree=2)
