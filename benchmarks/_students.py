"""The students of `benchmarks.distillation`: ours, and small networks that gradient descent trains in several ways.

All learn from the same few rows and the same teacher, and return a function from rows to scores, and their number of
parameters, frozen ones included.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._distillation_tasks import N_LAYERS, Task, mlp
from rungwise import RungwiseClassifier
from rungwise.features import RandomFeatures
from rungwise.teacher import ModuleTeacher, distil
from rungwise.teacher.distillation import choose_units

Scores = Callable[[np.ndarray], np.ndarray]

RATE, WEIGHT_DECAY, BATCH = 2e-3, 1e-2, 64
# How long: that which suits a fifth of the rows best, after which the student is trained anew with all of them.
STEPS = (25, 50, 100, 200, 400, 600)
HINT_STEPS = 400
# Hinton, Vinyals and Dean (2015): soft targets of a high temperature, and a little of the true labels.
TEMPERATURE, LABEL_SHARE = 4.0, 0.1
# ±1 hints of each layer, majorities of three neurons.
N_SIGNS, VOTES = 16, 3


@dataclass(frozen=True)
class Lesson:
    """What a student is given.

    Attributes
    ----------
    task : Task
    teacher : nn.Sequential
    rows : int array of shape (n,)
        The training rows that all students see.
    width : int
        Hidden units of a layer, of the students that have layers of one width.
    seed : int
    """

    task: Task
    teacher: nn.Sequential
    rows: np.ndarray
    width: int
    seed: int

    @property
    def X(self) -> np.ndarray:
        return self.task.X[self.rows]

    def module_teacher(self) -> ModuleTeacher:
        return ModuleTeacher(self.teacher, [f"hidden_{k}" for k in range(1, N_LAYERS + 1)], self.X)


Student = Callable[[Lesson], tuple[Scores, int]]


def hinted(lesson: Lesson) -> tuple[Scores, int]:
    """Learn graded hints, layer by layer."""
    student = distil(lesson.module_teacher(), lesson.X, n_hints=lesson.width, random_state=lesson.seed)
    return _scores_of(student)


def classifier(small: bool, signs: bool) -> Student:
    """Return `RungwiseClassifier`, small or as it is by default, on the teacher's decisions, and ±1 hints before."""

    def fit(lesson: Lesson) -> tuple[Scores, int]:
        features = RandomFeatures(lesson.width) if small else "auto"
        decided = lesson.task.decide(_scores_of(lesson.teacher)[0](lesson.X))
        n_outputs = lesson.task.Y.shape[1]
        Y = np.where(decided == np.arange(n_outputs) if lesson.task.exclusive else decided, 1.0, -1.0)
        if signs:
            hints = lesson.module_teacher().hints(lesson.X, N_SIGNS, VOTES, random_state=lesson.seed)
            Y = np.hstack([hints.Y, Y])
        clf = RungwiseClassifier(features, random_state=lesson.seed).fit(lesson.X, Y)
        size = sum(tensor.numel() for tensor in clf.network_.state_dict().values())
        return lambda X: clf.decision_function(X)[:, -n_outputs:], size

    return fit


def labels_alone(lesson: Lesson) -> tuple[Scores, int]:
    """Train the small network without a teacher."""
    y = torch.from_numpy(lesson.task.Y[lesson.rows])
    return _descend(lesson, lambda scores, rows: lesson.task.loss(scores, y[rows]))


def decisions_alone(lesson: Lesson) -> tuple[Scores, int]:
    """Train it on what the teacher decides."""
    told = _told(lesson)
    if lesson.task.exclusive:
        decided = nn.functional.one_hot(told.argmax(1), told.shape[1]).float()
    else:
        decided = (told > 0).float()
    return _descend(lesson, lambda scores, rows: lesson.task.loss(scores, decided[rows]))


def soft_targets(lesson: Lesson, before: Callable[[nn.Sequential, Tensor], None] | None = None) -> tuple[Scores, int]:
    """Distil the scores (Hinton, Vinyals and Dean, 2015)."""
    y, told = torch.from_numpy(lesson.task.Y[lesson.rows]), _told(lesson) / TEMPERATURE
    soft = told.softmax(1) if lesson.task.exclusive else told.sigmoid()

    def loss(scores: Tensor, rows: Tensor) -> Tensor:
        imitation = lesson.task.loss(scores / TEMPERATURE, soft[rows])
        return TEMPERATURE**2 * imitation + LABEL_SHARE * lesson.task.loss(scores, y[rows])

    return _descend(lesson, loss, before)


def fitnets(lesson: Lesson) -> tuple[Scores, int]:
    """Let the middle layer regress on the teacher's, then distil the scores: FitNets (Romero et al., 2015)."""
    x, middle = torch.from_numpy(lesson.X), (N_LAYERS + 1) // 2
    hints = _activations(lesson.teacher, f"relu_{middle}", x)
    hints = hints / hints.std()

    def before(student: nn.Sequential, rows: Tensor) -> None:
        lower, regressor = _up_to(student, f"relu_{middle}"), nn.Linear(lesson.width, hints.shape[1])
        both = nn.Sequential(lower, regressor)
        _steps(both, lambda some: nn.functional.mse_loss(both(x[some]), hints[some]), rows, HINT_STEPS)

    return soft_targets(lesson, before)


def hinted_by_descent(lesson: Lesson) -> tuple[Scores, int]:
    """Learn hints of all layers at once, by gradient descent, then distil the scores: a control for `hinted`."""
    x, rng = torch.from_numpy(lesson.X), np.random.default_rng(lesson.seed)
    layers = {f"hidden_{k}": _activations(lesson.teacher, f"hidden_{k}", x) for k in range(1, N_LAYERS + 1)}
    hints = {
        name: torch.from_numpy(choose_units(layer.numpy(), lesson.width, nn.ReLU(), rng))
        for name, layer in layers.items()
    }

    def before(student: nn.Sequential, rows: Tensor) -> None:
        def loss(some: Tensor) -> Tensor:
            losses = [
                (_up_to(student, name)(x[some]) - told[some]).square().mean() / told.var()
                for name, told in hints.items()
            ]
            return torch.stack(losses).sum()

        _steps(student, loss, rows, HINT_STEPS)

    return soft_targets(lesson, before)


def _descend(
    lesson: Lesson,
    loss: Callable[[Tensor, Tensor], Tensor],
    before: Callable[[nn.Sequential, Tensor], None] | None = None,
) -> tuple[Scores, int]:
    """Train a network by AdamW, so long as suits held-out rows best, on a loss of (scores, row numbers)."""
    x, n = torch.from_numpy(lesson.X), len(lesson.rows)

    def start(rows: Tensor) -> nn.Sequential:
        torch.manual_seed(lesson.seed)  # layers and batches draw from nowhere else
        student = mlp(x.shape[1], lesson.width, lesson.task.Y.shape[1])
        if before is not None:
            before(student, rows)
        return student

    order = torch.from_numpy(np.random.default_rng(lesson.seed).permutation(n))
    held, rest = order[: n // 5], order[n // 5 :]
    student = start(rest)
    losses = []

    def judge() -> None:
        with torch.no_grad():
            losses.append(float(loss(student(x[held]), held)))

    _steps(student, lambda some: loss(student(x[some]), some), rest, STEPS[-1], dict.fromkeys(STEPS, judge))
    best = STEPS[int(np.argmin(losses))]
    student = start(order)
    _steps(student, lambda some: loss(student(x[some]), some), order, best)
    return _scores_of(student)


def _steps(
    network: nn.Module,
    loss: Callable[[Tensor], Tensor],
    rows: Tensor,
    n_steps: int,
    after: dict[int, Callable[[], None]] | None = None,
) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, fused=True)
    for step in range(1, n_steps + 1):
        optimizer.zero_grad()
        loss(rows[torch.randperm(len(rows))[:BATCH]]).backward()
        optimizer.step()
        if after and step in after:
            after[step]()


def _up_to(network: nn.Sequential, name: str) -> nn.Sequential:
    """Return the parts of a network, the same objects, up to the one with this name."""
    names = [known for known, _ in network.named_children()]
    return network[: names.index(name) + 1]


@torch.no_grad()
def _activations(network: nn.Sequential, name: str, x: Tensor) -> Tensor:
    return _up_to(network, name)(x)


def _told(lesson: Lesson) -> Tensor:
    return _activations(lesson.teacher, "scores", torch.from_numpy(lesson.X))


def _scores_of(network: nn.Sequential) -> tuple[Scores, int]:
    @torch.no_grad()
    def scores(X: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(X)).numpy()

    return scores, sum(parameter.numel() for parameter in network.parameters())


OURS, CONTROL = "rungwise, graded hints", "same hints, gradient descent"
# By name; whether there is one for each width.
STUDENTS: dict[str, tuple[Student, bool]] = {
    OURS: (hinted, True),
    "rungwise, ±1 hints": (classifier(small=True, signs=True), True),
    "rungwise, predictions": (classifier(small=True, signs=False), True),
    "labels alone": (labels_alone, True),
    "predictions alone": (decisions_alone, True),
    "knowledge distillation": (soft_targets, True),
    "FitNets": (fitnets, True),
    CONTROL: (hinted_by_descent, True),
    "rungwise by default, predictions": (classifier(small=False, signs=False), False),
}
