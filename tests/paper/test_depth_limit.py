import json

import numpy as np
import pytest

from paper import depth_limit
from paper._depth_learners import cascade, kernels, log_depth, network_kernel, ours
from paper._depth_tasks import AUTOMATON, CIRCUITS, FAMILIES, DepthTask
from rungwise.datasets import make_parity
from rungwise.theory import random_feature_kernel


def parity_task(depth):
    X, Y, _ = make_parity(400, depth + 1, random_state=0)
    return DepthTask(CIRCUITS, depth, X[:200], Y[:200], X[200:], Y[200:], np.array([depth - 1]))


def result():
    """Return a result as the file has it: errors and seconds that grow with depth."""
    points = []
    for family in FAMILIES:
        for depth in (2, 4):
            names = (depth_limit.OURS, *depth_limit.PEERS)
            learners = {name: {"error": 0.1, "seconds": 0.5 * depth, "note": "", "blocks": depth} for name in names}
            learners[depth_limit.OURS]["error"] = 0.0
            sizes = {"inputs": 5, "labels": 6, "judged labels": 1, "examples": 9, "test examples": 9}
            points.append(
                {"family": family, "depth": depth, **sizes, "error of the frequency": 0.4, "learners": learners}
            )
    slopes = {family: depth_limit.slopes([p for p in points if p["family"] == family]) for family in FAMILIES}
    settings = {"network budget, seconds": 1.0, "small networks": True, "kernel beta": 0.5, "kernel depths": [1, 2]}
    settings |= {"kernel penalties": [1.0], "most blocks": 32}
    return {"settings": settings, "points": points, "slopes": slopes}


@pytest.mark.parametrize("name", FAMILIES)
def test_family_grows_in_depth_only(name):
    tasks = list(FAMILIES[name](True, 0))
    assert [task.depth for task in tasks] == sorted({task.depth for task in tasks})
    assert len({task.X.shape for task in tasks}) == 1
    for task in tasks:
        assert 0.2 < task.frequency_error <= 0.52
        assert set(task.judged) <= set(range(task.Y.shape[-1]))


def test_kernel_of_one_layer_is_that_of_random_features():
    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(6, 5))
    expected = 2 * random_feature_kernel(0.5, X, X[:3], "relu")
    np.testing.assert_allclose(network_kernel(X, X[:3], 1), expected, atol=1e-12)
    np.testing.assert_allclose(np.diag(network_kernel(X, X, 8)), 1)


def test_parity_is_beyond_kernels_and_cascades_and_not_beyond_ours():
    task = parity_task(12)
    assert (log_depth(task), log_depth(parity_task(1))) == (4, 1)
    found = ours(task, 0)
    assert (found.error, found.blocks) == (0, 12)
    assert min(outcome.error for outcome in kernels(task, 0).values()) > 0.3
    peer = cascade(task, 0)
    assert peer.error > 0.3
    assert peer.blocks <= 4


def test_networks_see_the_cells_that_can_have_reached_a_cell():
    task = next(task for task in FAMILIES[AUTOMATON](True, 0) if task.depth == 2)
    point = depth_limit.measure_point(task, 0, 0.2, True, lambda text: None)
    json.dumps(point, allow_nan=False)
    assert set(point["learners"]) == {depth_limit.OURS, *depth_limit.PEERS}
    assert point["learners"][depth_limit.OURS]["error"] == 0
    # Two steps of one rule are a function of five cells: easy for a kernel that sees these alone.
    assert point["learners"][depth_limit.KERNELS[1]]["error"] < 0.02


def test_slope_is_the_exponent_and_text_tells_the_numbers():
    content = json.loads(json.dumps(result()))
    assert content["slopes"][CIRCUITS] == pytest.approx({"seconds": 1, "blocks": 1})
    text = depth_limit.describe(content)
    assert "wrong on at most 0.00% at any depth" in text
    assert "| 4 | 6 | 4 | 2.00 | 0.000 | 0.100 |" in text


def test_picture_has_a_panel_for_each_family_and_one_for_time():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    depth_limit.draw(result(), figure)
    assert len(figure.axes) == len(FAMILIES) + 1
