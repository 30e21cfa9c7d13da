import json

import numpy as np
import pytest

from benchmarks import deep
from benchmarks._scaling import GRID, _try, fewest_examples, of_hierarchy
from benchmarks._scores import NOT_PREDICTED, score, score_edges
from benchmarks._tasks import TASKS
from rungwise import RungwiseClassifier


def test_quick_task_meets_its_floors_and_is_written_down(tmp_path, capsys):
    deep.main(["--quick", "--no-peers", "--task", "parity", "--output", str(tmp_path)])
    content = json.loads((tmp_path / "deep.json").read_text())
    (result,) = content["results"]
    assert result["scores"]["unseen rows"]["wrong values"] == 0
    assert [floor["met"] for floor in content["floors"]] == [True] * 3
    assert "MISSED" not in capsys.readouterr().out


def test_score_counts_only_labels_that_were_predicted():
    truth = np.array([[0, 1, 1], [1, 1, 0]])
    predicted = np.array([[0, NOT_PREDICTED, 0], [1, NOT_PREDICTED, 0]])
    scores = score(truth, predicted, np.array([1, 2, 3]))
    assert scores["errors"] == {1: 0.0, 3: 0.5}
    assert (scores["wrong values"], scores["rows all right"], scores["deepest level"]) == (1, 0.5, 0.5)


@pytest.mark.parametrize("name", ["multiplier", "automaton"])
def test_true_edges_are_right_and_swapped_truth_is_found_out(name):
    task = TASKS[name](0, True)
    fitted = RungwiseClassifier(features="sparse", neighborhood=task.neighborhood, random_state=0).fit(task.X, task.Y)
    edges = score_edges(fitted, task)
    assert (edges["edge precision"], edges["edge recall"], edges["labels right"]) == (1, 1, 1)
    # With other labels as the truth, no gate gives them, and no edge is one of nobody's.
    noise = np.random.default_rng(0).integers(0, 2, (200, *task.Y.shape[1:]))
    X = task.tests["unseen rows"][0][:200]
    other = type(task)(
        **{**vars(task), "tests": {"unseen rows": (X, noise[: len(X)])}, "parents": [set()] * task.Y.shape[-1]}
    )
    assert score_edges(fitted, other)["edge precision"] == 0


def test_fewest_examples_are_exact_and_the_next_fewer_are_not():
    told = []
    point = fewest_examples(of_hierarchy(15, 3, 6), seed=0, n_test=500, tell=told.append, budget=60)
    tried = {trial["examples"]: trial["wrong values"] for trial in point["tried"]}
    fewest = point["fewest examples"]
    assert tried[fewest] == 0
    assert tried[GRID[GRID.index(fewest) - 1]] != 0
    assert len(point["undecided"]) == 0
    assert len(told) == len(tried)
    assert any(f" {fewest} examples: 0 wrong" in text for text in told)


def test_without_time_the_search_for_the_fewest_examples_says_what_is_undecided():
    point = fewest_examples(of_hierarchy(15, 3, 6), seed=0, n_test=500, tell=lambda text: None, budget=0)
    (trial,) = point["tried"]
    assert trial["wrong values"] > 0
    assert point["fewest examples"] is None
    assert point["undecided"] == [n for n in GRID if n > trial["examples"]]


def test_fit_that_takes_too_long_is_given_up():
    X, Y, _ = of_hierarchy(15, 3, 6).make(400, 0)
    trial = _try(X, Y, X, Y, limit=0)
    assert (trial["wrong values"], trial["failure"]) == (None, "too slow")
