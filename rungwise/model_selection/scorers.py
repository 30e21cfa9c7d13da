"""Scorers that look at annotated labels only: scikit-learn's own metrics refuse a Y with NaN.

With M the set of annotated entries (i, j), a metric of entries, such as the Hamming loss, is that metric of the vectors
(y_ij) and (ŷ_ij), (i, j) in M; a macro average is the mean over labels j of the metric of (y_ij), (ŷ_ij), i in M_j.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, hamming_loss, log_loss, roc_auc_score
from sklearn.utils import check_consistent_length, column_or_1d

from rungwise.preprocessing.targets import read_label_matrix

# Of truth, mask of the annotated entries and answers, (n, n_labels) each, and weights of the rows, (n,).
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class MaskedScorer:
    """Score the annotated labels of an estimator's answer; for ``scoring=`` in scikit-learn's tools.

    On complete labels each is scikit-learn's metric, with Y and S the labels and their scores:

    ========================= =====================================================
    "average_precision_micro" ``average_precision_score(Y, S, average="micro")``
    "average_precision_macro" ``average_precision_score(Y, S, average="macro")``
    "roc_auc_macro"           ``roc_auc_score(Y, S, average="macro")``
    "neg_hamming_loss"        ``-hamming_loss(Y, Y_predicted)``
    "entry_accuracy"          ``accuracy_score(Y.ravel(), Y_predicted.ravel())``
    "exact_match"             ``accuracy_score(Y, Y_predicted)``
    "neg_log_loss"            ``-log_loss(Y.ravel(), probabilities.ravel())``
    ========================= =====================================================

    Macro averages leave out a label of which only one class is annotated: its AUC is not defined, and its average
    precision is 0 or 1 for any scores. A row is an exact match if all its annotated labels are right; rows without
    annotation are left out.

    Parameters
    ----------
    name : str
        One of `METRICS`.

    Raises
    ------
    ValueError
        If the name is unknown; when called, if Y is not a matrix of labels, no entry that matters is annotated, the
        answer has another shape than Y, or the weights are not as described.
    TypeError
        When called, if the estimator has no method that gives what the metric needs.

    Notes
    -----
    ``cross_val_score`` and its like hand Y on as it is if ``cv`` is a splitter, such as `MultilabelStratifiedKFold` or
    scikit-learn's ``KFold``; with a number, ``cv=5``, scikit-learn inspects Y to choose the splitter and refuses NaN.
    ``cross_val_predict`` serves for ``method="predict"`` only: for probabilities it recodes Y, and NaN with it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> predict_no = DummyClassifier().fit(np.zeros((3, 1)), np.zeros((3, 2)))
    >>> Y = [[0, 1], [np.nan, 1], [0, np.nan]]
    >>> MaskedScorer("entry_accuracy")(predict_no, np.zeros((3, 1)), Y)
    0.5
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in METRICS:
            raise ValueError(f"name must be one of {', '.join(METRICS)}, however: name={self.name!r}")

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score, higher being better.

        Parameters
        ----------
        estimator : fitted classifier
            Its ``predict_proba`` may give one array or, as scikit-learn's forests do, a list of one for each label.
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
        y : array, sparse matrix or data frame of shape (n_samples, n_labels)
            {0, 1}, {-1, 1} or booleans, NaN (in data frames also NA) where a label is not annotated.
        sample_weight : array of shape (n_samples,), optional
            Not negative; rows of weight 0 count as not annotated.
        """
        methods, metric = _METRICS[self.name]
        truth = read_label_matrix(y)
        weight = np.ones(len(truth)) if sample_weight is None else column_or_1d(sample_weight, dtype=np.float64)
        check_consistent_length(truth, weight)
        if not (weight >= 0).all():
            raise ValueError(
                f"sample_weight must not be negative or NaN, however: its smallest value is {weight.min()}"
            )
        annotated = ~np.isnan(truth) & (weight > 0)[:, None]
        if not annotated.any():
            raise ValueError(
                f"{self.name} needs an annotated label, however: all {truth.size} entries of Y are NaN or 0 in weight"
            )
        answer = _answer(estimator, X, methods)
        if answer.shape != truth.shape:
            raise ValueError(f"the answer must be of the shape of Y, {truth.shape}, however: {answer.shape}")
        return float(metric(truth, annotated, answer, weight))


def _answer(estimator: Any, X: Any, methods: tuple[str, ...]) -> np.ndarray:
    """Return what the first of the methods that the estimator has answers for all labels, (n, n_labels)."""
    method = next((name for name in methods if hasattr(estimator, name)), None)
    if method is None:
        raise TypeError(f"the estimator must have {' or '.join(methods)}, however: {estimator!r}")
    answer = getattr(estimator, method)(X)
    if method == "predict":
        return read_label_matrix(answer)
    if isinstance(answer, list):  # (n, n_classes) for each label; in training a label may have had one class only
        positive = [np.asarray(classes) > 0 for classes in estimator.classes_]
        return np.stack([p[:, column].sum(axis=1) for p, column in zip(answer, positive, strict=True)], axis=1)
    return np.asarray(answer)


def _of_entries(metric: Callable[..., float], sign: int = 1) -> Metric:
    def score(truth: np.ndarray, annotated: np.ndarray, answer: np.ndarray, weight: np.ndarray) -> float:
        weights = np.broadcast_to(weight[:, None], truth.shape)[annotated]
        return sign * metric(truth[annotated], answer[annotated], sample_weight=weights)

    return score


def _mean_of_labels(metric: Callable[..., float]) -> Metric:
    def score(truth: np.ndarray, annotated: np.ndarray, answer: np.ndarray, weight: np.ndarray) -> float:
        both = (annotated & (truth == 1)).any(axis=0) & (annotated & (truth == 0)).any(axis=0)
        if not both.any():
            raise ValueError("a macro average needs a label with both classes annotated, however: there is none in Y")
        rows = [(j, annotated[:, j]) for j in np.flatnonzero(both)]
        return float(np.mean([metric(truth[i, j], answer[i, j], sample_weight=weight[i]) for j, i in rows]))

    return score


def _average_precision_of_entries(truth: np.ndarray, annotated: np.ndarray, *answer_and_weight: np.ndarray) -> float:
    if not (truth[annotated] == 1).any():
        raise ValueError("average precision needs an annotated positive, however: there is none in Y")
    return _of_entries(average_precision_score)(truth, annotated, *answer_and_weight)


def _exact_match(truth: np.ndarray, annotated: np.ndarray, answer: np.ndarray, weight: np.ndarray) -> float:
    right = ((answer == truth) | ~annotated).all(axis=1)
    return np.average(right, weights=weight * annotated.any(axis=1))


def _log_loss(truth: np.ndarray, probability: np.ndarray, sample_weight: np.ndarray) -> float:
    return log_loss(truth, probability, labels=[0, 1], sample_weight=sample_weight)


_RANKING = ("decision_function", "predict_proba")
_METRICS: dict[str, tuple[tuple[str, ...], Metric]] = {
    "average_precision_micro": (_RANKING, _average_precision_of_entries),
    "average_precision_macro": (_RANKING, _mean_of_labels(average_precision_score)),
    "roc_auc_macro": (_RANKING, _mean_of_labels(roc_auc_score)),
    "neg_hamming_loss": (("predict",), _of_entries(hamming_loss, sign=-1)),
    "entry_accuracy": (("predict",), _of_entries(accuracy_score)),
    "exact_match": (("predict",), _exact_match),
    "neg_log_loss": (("predict_proba",), _of_entries(_log_loss, sign=-1)),
}
METRICS = tuple(_METRICS)
