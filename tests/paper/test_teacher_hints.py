import json
from dataclasses import asdict

import numpy as np
import pytest

from paper import teacher_hints
from paper._emergence import certify_small_circuits
from paper.teacher_hints import Setting, averages_wrong, measure_point, thresholds
from rungwise.teacher import CircuitTeacher
from rungwise.theory import n_hints_that_suffice


def result():
    """Return a result as the file has it."""
    runs = []
    for setting in (Setting(8), Setting(8, k=1, awareness=0.5, noise=0.02)):
        points = [
            {"column": column, "hints": q, "error of the outputs": error, "averages wrong": wrong, "seconds": 2.0}
            for column, q, error, wrong in (("0", 0, 0.3, None), ("d", 8, 0.05, 0.2), ("d²", 64, 0.004, 0.0))
        ]
        runs.append({**asdict(setting), "name": setting.name, **thresholds(setting, points), "points": points})
    settings = {"inputs": 16, "fan-in": 3, "examples": 100, "test examples": 50, "width": 8, "folds": 3}
    small = [{"d": 4, "column": "d", "hints": 4, "M": []}, {"d": 4, "column": "2d", "hints": 8, "M": [1.5, 1.25]}]
    settings |= {"target": 0.01, "failure probability": 0.1}
    return {"settings": settings, "runs": runs, "small circuits": [*small, {**small[1], "column": "d²", "hints": 16}]}


def test_averages_of_many_hints_are_right_and_neurons_in_none_are_half_wrong():
    teacher = CircuitTeacher.random(8, 2, 8, random_state=0)
    X = np.random.default_rng(0).choice([-1, 1], size=(50, 8))
    assert averages_wrong(teacher.hints(X, 2000, random_state=0), X) == 0
    # With an awareness of half of the neurons, the other half are guesses.
    assert averages_wrong(teacher.hints(X, 2000, awareness=0.5, random_state=0), X) == pytest.approx(0.25)


def test_point_without_hints_is_about_the_outputs_alone():
    point = measure_point(Setting(3, n_layers=1), 0, 60, 0)
    assert (point["labels"], point["errors of the hints"], point["averages wrong"]) == (3, [], None)
    json.dumps(point, allow_nan=False)


def test_point_with_hints_has_an_error_for_each_layer():
    point = measure_point(Setting(3, n_layers=2), 4, 60, 0)
    assert (point["labels"], len(point["errors of the hints"])) == (11, 2)
    json.dumps(point, allow_nan=False)


def test_thresholds_are_the_first_numbers_that_are_enough():
    first, second = result()["runs"]
    assert (first["enough by simulation"], first["enough as measured"]) == (64, 64)
    assert first["enough by Bernstein"] == n_hints_that_suffice(8, 3, 256, 1.0, 0.1)
    assert second["enough by Bernstein"] is None


def test_text_tells_the_numbers_and_what_differs():
    text = teacher_hints.describe(json.loads(json.dumps(result())))
    assert "| 4 layers, d = 8, k = 3 | 0.300 | 0.050 | 0.004 |" in text
    assert (
        "4 layers, d = 8, k = 3: 30.0% without hints, 0.4% with 64; at most 1% from 64 hints of each layer on." in text
    )
    assert "| d = 4 | 0 of 3 | 2 of 3, M = 1.50 | 2 of 3, M = 1.50 |" in text
    assert "not the theorem's setting" in text


def test_picture_has_three_panels():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    teacher_hints.draw(result(), figure)
    assert len(figure.axes) == 3


def test_more_hints_of_small_circuits_form_a_hierarchy_more_often():
    found = certify_small_circuits((4,), 0)
    assert [point["hints"] for point in found] == [4, 8, 16]
    assert len(found[0]["M"]) < len(found[2]["M"]) == 3
    assert all(1 <= norm < 2 for point in found for norm in point["M"])
