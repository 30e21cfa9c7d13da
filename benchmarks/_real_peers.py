"""What peers of `benchmarks.real` need around them: inputs that they can read, labels that vary, early stopping."""

import copy
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.multioutput import ClassifierChain
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, StandardScaler

# The share of rows on which networks stop early, and the epochs without improvement that they wait.
VALID_SHARE, PATIENCE = 0.1, 16
MAX_EPOCHS = 200


def as_it_is(seed: int) -> Any:
    """Leave features alone, for trees."""
    return FunctionTransformer()


def standardised(seed: int) -> Any:
    """Impute by the mean, drop constant features, standardise."""
    return make_pipeline(SimpleImputer(), VarianceThreshold(), StandardScaler())


def gaussian(seed: int) -> Any:
    """Impute by the mean, drop constant features, make each Gaussian by its ranks: what networks like about tables.

    Standardised after that, because features of two values, such as words, are put far out at both ends by their ranks.
    """
    # So few quantiles that the smallest set, 333 rows, has several rows for each.
    ranks = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=seed)
    return make_pipeline(SimpleImputer(), VarianceThreshold(), ranks, StandardScaler())


class Peer:
    """A model behind its preparation: given dense features and varying labels only.

    A label that is constant in the training rows is predicted to be that constant.
    """

    def __init__(self, prepare: Any, model: Any) -> None:
        self.prepare, self.model = prepare, model

    def fit(self, X: Any, Y: np.ndarray) -> "Peer":
        self.varying = np.ptp(Y, axis=0) > 0
        self.constant = Y[0]
        # scikit-learn's LabelBinarizer numbers the labels in the type of Y: more than 127 do not fit into int8.
        varying = Y[:, self.varying].astype(np.int64)
        self.model.fit(self.prepare.fit_transform(_dense(X)), varying)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        probability = np.tile(self.constant.astype(float), (X.shape[0], 1))
        probability[:, self.varying] = as_matrix(self.model.predict_proba(self.prepare.transform(_dense(X))))
        # In single precision the sum of a softmax may exceed 1 by a rounding error.
        return np.clip(probability, 0.0, 1.0)


def _dense(X: Any) -> np.ndarray:
    return X.toarray() if issparse(X) else X


def as_matrix(probability: Any) -> np.ndarray:
    """Return (n, L) from that, from a sparse matrix, or from a forest's list of L arrays of shape (n, 2)."""
    if isinstance(probability, list):
        return np.column_stack([of_label[:, 1] for of_label in probability])
    return _dense(probability)


class Regressor:
    """A regressor of 0 and 1 whose predictions are probabilities, such as means over leaves."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
        self.model.fit(X, Y)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict(X)


class ChainEnsemble:
    """The mean probability of classifier chains in random orders."""

    def __init__(self, model: Any, n_chains: int, seed: int) -> None:
        self.chains = [ClassifierChain(clone(model), order="random", random_state=seed + k) for k in range(n_chains)]

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
        for chain in self.chains:
            chain.fit(X, Y)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.mean([chain.predict_proba(X) for chain in self.chains], axis=0)


class RandomLabelsets:
    """RAkEL: classifiers of the combinations of three labels, twice as many as labels (Tsoumakas et al., 2011).

    The package's own votes are rounded to 0 and 1; the mean of the probabilities ranks better.
    """

    def __init__(self, model: Any, seed: int) -> None:
        self.model, self.seed = model, seed

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
        from skmultilearn.ensemble import RakelO

        # The package draws from the global generator, and takes no seed.
        random.seed(self.seed)
        self.n_labels = Y.shape[1]
        rakel = RakelO(self.model, model_count=2 * self.n_labels, base_classifier_require_dense=[True, True])
        self.votes = rakel.fit(X, Y)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return mean_of_labelsets(
            [as_matrix(classifier.predict_proba(X)) for classifier in self.votes.classifiers_],
            self.votes.partition_,
            self.n_labels,
        )


def mean_of_labelsets(parts: Sequence[np.ndarray], labelsets: Sequence[Any], n_labels: int) -> np.ndarray:
    """Return each label's mean probability, (n, n_labels), over the label sets that it is in."""
    total, count = np.zeros((len(parts[0]), n_labels)), np.zeros(n_labels)
    for part, labels in zip(parts, labelsets, strict=False):
        total[:, list(labels)] += part
        count[list(labels)] += 1
    return total / count


class EarlyStoppedMLP:
    """scikit-learn's perceptron, stopped by the log loss of held-out rows.

    Its own early stopping looks at the exact matches, of which there are none with hundreds of labels.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.model = MLPClassifier((256, 256), alpha=1e-3, random_state=seed)

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
        valid = held_out(len(X), self.seed)
        stopping = EarlyStopping(PATIENCE)
        for _ in range(MAX_EPOCHS):
            self.model.partial_fit(X[~valid], Y[~valid], classes=np.arange(Y.shape[1]))
            probability = self.model.predict_proba(X[valid])
            loss = log_loss(Y[valid].ravel(), probability.ravel(), labels=[0, 1])
            if stopping.is_over(loss, lambda: copy.deepcopy(self.model)):
                break
        self.model = stopping.best

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(X)


class EarlyStopping:
    """The best state so far, and whether it has not been beaten for long."""

    def __init__(self, patience: int) -> None:
        self.patience, self.waited, self.least, self.best = patience, 0, np.inf, None

    def is_over(self, loss: float, state: Any) -> bool:
        """Take note of a loss and, where it is the least, of what ``state()`` returns; return whether to stop."""
        self.waited += 1
        if loss < self.least:
            self.waited, self.least, self.best = 0, loss, state()
        return self.waited >= self.patience


def held_out(n: int, seed: int) -> np.ndarray:
    """Return which rows decide when to stop, (n,) bool."""
    rows = np.zeros(n, dtype=bool)
    rows[np.random.default_rng(seed).permutation(n)[: max(1, round(VALID_SHARE * n))]] = True
    return rows
