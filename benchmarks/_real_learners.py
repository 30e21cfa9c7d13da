"""The learners of `benchmarks.real`: one entry each, with one setting for all sets.

A new one is one line in `LEARNERS`: a name, and what makes it from a seed. What it makes has fit(X, Y) and
predict_proba(X) of shape (n, L), and X is as the set has it: dense or CSR, with NaN. `peer` takes care of both, and of
labels that are constant in the training rows, for learners that know less.

Imports are inside: a process loads what its own learner needs.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks._real_peers import (
    ChainEnsemble,
    EarlyStoppedMLP,
    Peer,
    RandomLabelsets,
    Regressor,
    as_it_is,
    gaussian,
    standardised,
)

N_TREES = 300
FOREST = "random forest"


@dataclass(frozen=True)
class Learner:
    """How to make a learner from a seed, and the package beyond the project's own that it needs."""

    make: Callable[[int], Any]
    package: str | None = None

    @property
    def installed(self) -> bool:
        return self.package is None or importlib.util.find_spec(self.package) is not None


def rungwise(**settings: Any) -> Learner:
    def make(seed: int) -> Any:
        from rungwise import RungwiseClassifier

        return RungwiseClassifier(**settings, random_state=seed)

    return Learner(make)


def peer(model: Callable[[int], Any], prepare: Callable[[int], Any] = as_it_is, package: str | None = None) -> Learner:
    return Learner(lambda seed: Peer(prepare(seed), model(seed)), package)


def logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=300)


def one_vs_rest(seed: int) -> Any:
    from sklearn.multiclass import OneVsRestClassifier

    return OneVsRestClassifier(logistic())


def chain(seed: int) -> Any:
    from sklearn.multioutput import ClassifierChain

    return ClassifierChain(logistic())


def chains(seed: int) -> Any:
    return ChainEnsemble(logistic(), 10, seed)


def random_forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(N_TREES, n_jobs=-1, random_state=seed)


def extra_trees(seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    # The variance of 0 and 1 is half the Gini impurity, so these are the classifier's trees, and the mean of a leaf is
    # its probability, in half the memory: for 499 labels the classifier takes 12 GB.
    return Regressor(ExtraTreesRegressor(N_TREES, max_features="sqrt", n_jobs=-1, random_state=seed))


def xgboost(**settings: Any) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from xgboost import XGBClassifier

        # Slower and longer than the package's defaults (0.3, 100 rounds), and rows and columns sampled: as most use it.
        return XGBClassifier(
            n_estimators=200, learning_rate=0.1, subsample=0.8, colsample_bytree=0.8, random_state=seed, **settings
        )

    return make


def catboost(seed: int) -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        loss_function="MultiLogloss", random_seed=seed, logging_level="Silent", allow_writing_files=False
    )


def ml_knn(seed: int) -> Any:
    from skmultilearn.adapt import MLkNN

    return MLkNN(k=10)


def rakel(seed: int) -> Any:
    return RandomLabelsets(logistic(), seed)


def mlp(seed: int) -> Any:
    return EarlyStoppedMLP(seed)


def network(kind: str) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from benchmarks._real_networks import NETWORKS, EarlyStoppedNetwork

        return EarlyStoppedNetwork(NETWORKS[kind], seed)

    return make


# Cheap ones first. The forest is among them: fit times are shown as multiples of its own.
LEARNERS: dict[str, Learner] = {
    "rungwise": rungwise(),
    "rungwise, low effort": rungwise(effort="low"),
    "rungwise, high effort": rungwise(effort="high"),
    FOREST: peer(random_forest),
    "extra trees": peer(extra_trees),
    "logistic, one vs rest": peer(one_vs_rest, standardised),
    "classifier chain": peer(chain, standardised),
    "MLP": peer(mlp, gaussian),
    "ResNet": peer(network("ResNet"), gaussian),
    "ML-kNN": peer(ml_knn, standardised, package="skmultilearn"),
    "XGBoost": peer(xgboost(), package="xgboost"),
    "XGBoost, multi-output trees": peer(xgboost(multi_strategy="multi_output_tree"), package="xgboost"),
    "10 random chains": peer(chains, standardised),
    "CatBoost": peer(catboost, package="catboost"),
    "TabM": peer(network("TabM"), gaussian, package="tabm"),
    "RAkEL": peer(rakel, standardised, package="skmultilearn"),
}
