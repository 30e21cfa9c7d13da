"""The peers that are not networks: classifier chains, random forests, boosted trees.

Settings are chosen on a tenth of the rows; the best is then fitted again on all of them. Each yields an answer as soon
as it has one, so that something is there when its time is up.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain
from sklearn.tree import DecisionTreeClassifier

from benchmarks._problem import Answers, FlatProblem, Problem, flatten


def classifier_chain(problem: Problem) -> Answers:
    """Logistic regressions or trees, each of which reads the labels before it: those first that a forest finds easy."""
    flat = flatten(problem)
    train, valid = ~flat.valid, flat.valid
    forest = RandomForestClassifier(30, n_jobs=-1, random_state=problem.seed).fit(flat.X[train], flat.Y[train])
    order = np.argsort((_matrix(forest.predict(flat.X[valid])) != flat.Y[valid]).mean(axis=0), kind="stable")

    def chain(learner: Any) -> Callable[[], Any]:
        return lambda: ClassifierChain(learner, order=order)

    settings: dict[str, Callable[[], Any]] = {
        "trees": chain(DecisionTreeClassifier(random_state=problem.seed)),
        "logistic, C = 1": chain(LogisticRegression(C=1.0, max_iter=500)),
        "logistic, C = 100": chain(LogisticRegression(C=100.0, max_iter=500)),
    }
    if problem.quick:
        del settings["logistic, C = 100"]
    yield from _choose(flat, settings)


def random_forest(problem: Problem) -> Answers:
    """Forests of multi-label trees."""

    def forest(max_features: Any) -> Callable[[], Any]:
        n_trees = 20 if problem.quick else 300
        return lambda: RandomForestClassifier(n_trees, max_features=max_features, n_jobs=-1, random_state=problem.seed)

    settings = {"√d features a split": forest("sqrt"), "half of the features a split": forest(0.5)}
    yield from _choose(flatten(problem), settings)


def boosted_trees(problem: Problem) -> Answers:
    """XGBoost, one ensemble for each label, stopped early on the validation rows or when its share of time is up."""
    from xgboost import XGBClassifier
    from xgboost.callback import TrainingCallback

    class Deadline(TrainingCallback):
        def __init__(self, until: float) -> None:
            self.until = until

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return time.perf_counter() > self.until

    flat = flatten(problem)
    train, valid = ~flat.valid, flat.valid
    least, rates = np.inf, (0.3,) if problem.quick else (0.3, 0.1)
    for rate in rates:
        # Twice the budget is there for all: a part of it remains for predictions.
        until = time.perf_counter() + 1.6 * problem.budget / len(rates)
        booster = XGBClassifier(
            n_estimators=1000,
            learning_rate=rate,
            tree_method="hist",
            early_stopping_rounds=20,
            callbacks=[Deadline(until)],
            random_state=problem.seed,
        )
        booster.fit(flat.X[train], flat.Y[train], eval_set=[(flat.X[valid], flat.Y[valid])], verbose=False)
        error = _error(booster, flat)
        if error < least:
            least = error
            state = "out of time" if time.perf_counter() > until else "stopped early"
            rounds = booster.get_booster().num_boosted_rounds()
            yield flat.answer(_predict(booster, flat), f"learning rate {rate}, {rounds} rounds, {state}")


def _choose(flat: FlatProblem, settings: dict[str, Callable[[], Any]]) -> Answers:
    """Answer with the setting that is best on the validation rows, at last from all rows."""
    train = ~flat.valid
    errors: dict[str, float] = {}
    for name, make in settings.items():
        fitted = make().fit(flat.X[train], flat.Y[train])
        errors[name] = _error(fitted, flat)
        if errors[name] <= min(errors.values()):
            tried = "" if len(errors) == len(settings) else f", no time for {_rest(list(settings), len(errors))}"
            yield flat.answer(_predict(fitted, flat), f"{name}, from nine tenths of the rows{tried}")
    best = min(errors, key=errors.__getitem__)
    yield flat.answer(_predict(settings[best]().fit(flat.X, flat.Y), flat), best)


def _rest(names: Sequence[str], n_tried: int) -> str:
    return " and ".join(names[n_tried:])


def _error(fitted: Any, flat: FlatProblem) -> float:
    return float((_matrix(fitted.predict(flat.X[flat.valid])) != flat.Y[flat.valid]).mean())


def _predict(fitted: Any, flat: FlatProblem) -> list[np.ndarray]:
    return [_matrix(fitted.predict(test)).astype(np.int8) for test in flat.tests]


def _matrix(predicted: np.ndarray) -> np.ndarray:
    """Return (n, 1) where a learner gives (n,) for a single label."""
    return predicted.reshape(len(predicted), -1)
