import numpy as np
import pytest
import torch

from benchmarks import _students, distillation
from benchmarks._distillation_tasks import Task, load_task, mlp
from benchmarks._students import CONTROL, OURS, STUDENTS, Lesson


@pytest.fixture
def lesson():
    """Return few rows of three classes, and a small network that knows nothing."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((80, 5)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 80)]
    torch.manual_seed(0)
    teacher = mlp(5, 16, 3).eval()
    return Lesson(Task(X, Y, X, Y, exclusive=True), teacher, np.arange(40), width=8, seed=0)


@pytest.mark.parametrize("name", [name for name in STUDENTS if "default" not in name])
def test_every_student_gives_scores_and_repeats_itself(name, lesson, monkeypatch):
    monkeypatch.setattr(_students, "STEPS", (2, 4))
    monkeypatch.setattr(_students, "HINT_STEPS", 2)
    learn, _ = STUDENTS[name]
    scores, size = learn(lesson)
    assert scores(lesson.task.X_test).shape == (80, 3)
    assert size > 0
    np.testing.assert_array_equal(learn(lesson)[0](lesson.X), scores(lesson.X))


def test_hinted_student_and_those_that_descend_are_of_one_size(lesson, monkeypatch):
    monkeypatch.setattr(_students, "STEPS", (2,))
    # 5 inputs, three layers of 8, 3 scores.
    sizes = [STUDENTS[name][0](lesson)[1] for name in (OURS, "labels alone")]
    assert sizes == [(5 + 1) * 8 + 2 * (8 + 1) * 8 + (8 + 1) * 3] * 2


def test_decisions_are_the_best_class_or_signs(lesson):
    task = lesson.task
    assert task.decide(np.array([[0.1, 3.0, -1.0]])).tolist() == [[1]]
    several = Task(task.X, task.Y, task.X_test, task.Y_test, exclusive=False)
    assert several.decide(np.array([[0.1, 3.0, -1.0]])).tolist() == [[True, True, False]]


def test_verdict_takes_the_best_rival_of_any_width_and_leaves_the_control_out():
    def run(student, width, error, rows=50):
        learner = f"{student}, {width}"
        return {
            "task": "t",
            "rows": rows,
            "student": student,
            "width": width,
            "learner": learner,
            "error": error,
        }

    runs = [run(OURS, 64, 0.2), run(OURS, 128, 0.1), run(CONTROL, 128, 0.05), run("FitNets", 64, 0.2)]
    runs += [run("FitNets", 128, 0.3), run("FitNets", 64, 0.0, rows=100)]
    found = distillation.verdict("t", runs)
    assert (found["rows"], found["rival"], found["ratio"], found["control"]) == (50, "FitNets, 64", 0.5, 0.05)


def test_digit_task_keeps_images_apart():
    task = load_task("digits")
    assert task.X.shape[1] == 64
    assert (task.Y.sum(axis=1) == 1).all()
    assert not {row.tobytes() for row in task.X} & {row.tobytes() for row in task.X_test}
