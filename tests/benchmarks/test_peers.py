import importlib.util

import numpy as np
import pytest

from benchmarks._peers import PEERS
from benchmarks._problem import NOT_PREDICTED, Problem, flatten
from benchmarks._tasks import TASKS


def problem_of(name, missing=0.0):
    task = TASKS[name](0, True)
    Y = np.where(np.random.default_rng(0).random(task.Y.shape) < missing, np.nan, task.Y)
    deepest = np.flatnonzero(task.level == task.level.max())
    X_tests = [X[:20] for X, _ in task.tests.values()]
    return Problem(task.X, Y, X_tests, int(task.level.max()), deepest, task.neighborhood, 0.1, 0, True)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("task", ["parity", "automaton"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_peer_predicts_every_label_that_it_was_asked_for(name, task):
    if name == "XGBoost" and importlib.util.find_spec("xgboost") is None:
        pytest.skip("xgboost is not installed")
    problem = problem_of(task)
    answer = list(PEERS[name](problem))[-1]
    asked = problem.deepest if "deepest" in name else np.arange(problem.Y.shape[-1])
    for X, predicted in zip(problem.X_tests, answer.predictions, strict=True):
        assert predicted.shape == (*X.shape[:-1], problem.Y.shape[-1])
        assert np.isin(predicted[..., asked], (0, 1)).all()
        assert (np.delete(predicted, asked, axis=-1) == NOT_PREDICTED).all()


def test_rows_without_missing_labels_are_used_if_they_are_half():
    few, many = flatten(problem_of("parity", 0.01)), flatten(problem_of("parity", 0.5))
    assert len(few.X) < 200
    assert "complete rows" in few.note
    assert len(many.X) == 200
    assert "majority" in many.note


def test_window_of_a_cell_is_centred_on_it():
    problem = problem_of("automaton")
    flat = flatten(problem)
    n_cells = problem.X.shape[1]
    np.testing.assert_array_equal(flat.X[:n_cells, n_cells // 2], problem.X[0, :, 0])
    assert flat.tests[1].shape == (20 * 2 * n_cells, n_cells)
