"""Each claim on problems so small that only what is said and drawn can be judged."""

import json

import numpy as np
import pytest

from paper import growth, levels, positions
from paper._stages import blocks_needed, diagonal, errors_by_level, staged_errors
from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy


@pytest.fixture
def drawn():
    """Return a function that draws a result and gives the figure's panels."""
    figures = pytest.importorskip("matplotlib.figure")

    def draw(claim, result):
        figure = figures.Figure(layout="constrained")
        claim.draw(result, figure)
        figure.canvas.draw()
        return figure.axes

    return draw


@pytest.fixture(scope="module")
def levels_result():
    X, Y, model = make_hierarchy(400, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
    runs = [
        levels._fit_and_test(f"run {i}", (X, Y, model), 300, 64, "sgd" if i == 3 else "exact", 1e-2, seed=0)
        for i in range(5)
    ]
    return json.loads(json.dumps({"target": 0.01, "test rows": 100, "beta": 0.5, "runs": runs}, allow_nan=False))


@pytest.fixture(scope="module")
def positions_result():
    runs = [
        positions._shared("shared", 30, (6, 12), 2, 32, [5, 12], seed=0),
        positions._not_shared(30, (6, 5), 2, 8, 0),
    ]
    result = {
        "target": 0.01,
        "test rings": 50,
        "steps": 2,
        "width": 32,
        "beta": 0.5,
        "runs": [*runs, {**runs[0], "rule": 110}],
    }
    return json.loads(json.dumps(result, allow_nan=False))


@pytest.fixture(scope="module")
def growth_result():
    sizes = {"degree": 1, "labels": 3, "depth": 1}
    chain = {"inputs": 10, "labels": 1, "degree": 2, "width": 128}
    small = [
        growth.Series("examples", "inputs", (10, 15, 20), {**sizes, "width": 64}),
        growth.Series("examples", "inputs", (10, 20), sizes, "sparse"),
        growth.Series("width", "inputs", (10, 20), {**sizes, "examples": 200}),
        growth.Series("examples", "degree", (1, 2), {**sizes, "inputs": 10, "width": 128}),
        growth.Series("examples", "labels", (2, 3), {"inputs": 10, "degree": 1, "depth": 2, "width": 64}),
        growth.Series("examples", "depth", (1, 2), chain),
        growth.Series("blocks", "depth", (1, 2), {**chain, "examples": 200}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "series", lambda quick: small)
        patch.setattr(growth, "GRID", growth.GRID[:16])
        result = growth.measure(True, 0, lambda what: None)
    return json.loads(json.dumps(result, allow_nan=False))


def test_last_stage_is_what_the_network_says():
    X, Y, model = make_hierarchy(300, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
    fitted = RungwiseClassifier(RandomFeatures(width=64), random_state=0).fit(X[:200], Y[:200])
    errors = staged_errors(fitted, X[200:], Y[200:])
    assert errors.shape == (fitted.n_blocks_ + 1, 6)
    np.testing.assert_allclose(errors[0], Y[200:].mean(axis=0))
    wrong = (fitted._score(X[200:], 1).numpy() > 0) != Y[200:]
    np.testing.assert_allclose(errors[-1], wrong.mean(axis=0))
    np.testing.assert_allclose(np.mean(errors_by_level(errors, model.level)), errors.mean(), atol=1e-5)


def test_diagonal_and_blocks_needed():
    errors = [[0.5, 0.5, 0.5], [0.0, 0.2, 0.4], [0.0, 0.01, 0.3]]
    assert diagonal(errors) == [0.0, 0.01, 0.3]
    assert blocks_needed(errors, 0.01) == [1, 2, None]


def test_levels_tell_every_run(levels_result, drawn):
    text = levels.describe(levels_result)
    assert all(f"| run {i} |" in text for i in range(5))
    assert "descent" in text
    assert len(drawn(levels, levels_result)) == 4 + 1  # and the colour bar


def test_positions_tell_every_run(positions_result, drawn):
    text = positions.describe(positions_result)
    assert text.count("| 30 |") == 2
    assert "not shared" in text
    assert list(positions_result["runs"][0]["error"]) == ["5", "12"]
    assert len(drawn(positions, positions_result)) == 2 + 1


def test_growth_tells_every_series(growth_result, drawn):
    text = growth.describe(growth_result)
    assert text.count("\n| examples |") == 5
    assert len(drawn(growth, growth_result)) == 6


def test_more_inputs_need_more_examples(growth_result):
    first = growth_result["series"][0]
    assert first["slope"]["value"] > 0
    assert first["monomials slope"]["value"] == pytest.approx(0.93, abs=0.05)  # of d + 1


def test_no_answer_is_told(growth_result):
    series = growth_result["series"][0]
    nothing = {**series, "points": [{**point, "least": None} for point in series["points"]]}
    nothing = {**nothing, **growth._slopes(nothing["points"], "inputs")}
    text = growth.describe({**growth_result, "series": [nothing]})
    assert "10: –" in text
    assert f"({len(series['points'])} runs)" in text


def test_upper_parities_share_no_input():
    sizes = {"inputs": 8, "labels": 5, "depth": 2, "degree": 2}
    X, Y, level = growth._make(sizes, 2000, seed=0)
    signs = 2.0 * Y - 1
    products = np.stack([X[:, i] * X[:, j] for i in range(8) for j in range(i)], axis=1)
    correlation = np.abs(signs.T @ products / len(X)).max(axis=1)
    assert (correlation[level == 1] > 0.99).all()
    assert (correlation[level == 2] < 0.2).all()
