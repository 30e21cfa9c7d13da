import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from rungwise.model_selection import METRICS, MaskedScorer

N, L = 40, 4


class Answers:
    """An estimator that answers with these probabilities."""

    def __init__(self, probability):
        self.probability = np.asarray(probability)

    def predict_proba(self, X):
        return self.probability

    def predict(self, X):
        return (self.probability > 0.5).astype(int)


class LogOdds(Answers):
    def decision_function(self, X):
        return np.log(self.probability) - np.log1p(-self.probability)


ORACLES = {
    "average_precision_micro": lambda Y, P, w: metrics.average_precision_score(Y, P, average="micro", sample_weight=w),
    "average_precision_macro": lambda Y, P, w: metrics.average_precision_score(Y, P, average="macro", sample_weight=w),
    "roc_auc_macro": lambda Y, P, w: metrics.roc_auc_score(Y, P, average="macro", sample_weight=w),
    "neg_hamming_loss": lambda Y, P, w: -metrics.hamming_loss(Y, P > 0.5, sample_weight=w),
    "entry_accuracy": lambda Y, P, w: metrics.accuracy_score(Y.ravel(), P.ravel() > 0.5, sample_weight=np.repeat(w, L)),
    "exact_match": lambda Y, P, w: metrics.accuracy_score(Y, P > 0.5, sample_weight=w),
    "neg_log_loss": lambda Y, P, w: -metrics.log_loss(Y.ravel(), P.ravel(), sample_weight=np.repeat(w, L)),
}


def draw(seed=0):
    """Return labels of both classes, probabilities that know something about them (with ties), and weights."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((N, L)) < 0.4).astype(int)
    Y[:2] = [[0] * L, [1] * L]
    P = np.clip((0.4 * Y + 0.8 * rng.random((N, L)) - 0.1).round(1), 0.05, 0.95)
    return Y, P, rng.integers(1, 4, N).astype(float)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("answers", [Answers, LogOdds])
def test_on_complete_labels_it_is_scikit_learns_metric(name, answers):
    Y, P, w = draw()
    assert MaskedScorer(name)(answers(P), None, Y) == pytest.approx(ORACLES[name](Y, P, np.ones(N)))
    assert MaskedScorer(name)(answers(P), None, Y, w) == pytest.approx(ORACLES[name](Y, P, w))


@pytest.mark.parametrize("name", METRICS)
@given(
    missing=hnp.arrays(bool, (N, L)),
    elsewhere=hnp.arrays(float, (N, L), elements=st.floats(0.01, 0.99)),
)
def test_what_is_answered_for_labels_without_annotation_does_not_matter(name, missing, elsewhere):
    Y, P, _ = draw()
    missing[:2] = False
    masked = np.where(missing, np.nan, Y)
    scorer = MaskedScorer(name)
    assert scorer(Answers(np.where(missing, elsewhere, P)), None, masked) == scorer(Answers(P), None, masked)


def by_hand(name, Y, P):
    """Return a score from loops over the entries and labels that are annotated."""
    entries = [(Y[i, j], P[i, j]) for i in range(N) for j in range(L) if not np.isnan(Y[i, j])]
    right = [y == (p > 0.5) for y, p in entries]
    if name == "entry_accuracy":
        return np.mean(right)
    if name == "neg_hamming_loss":
        return np.mean(right) - 1
    if name == "neg_log_loss":
        return np.mean([np.log(p if y else 1 - p) for y, p in entries])
    if name == "exact_match":
        rows = [[Y[i, j] == (P[i, j] > 0.5) for j in range(L) if not np.isnan(Y[i, j])] for i in range(N)]
        return np.mean([all(row) for row in rows if row])
    if name == "roc_auc_macro":
        columns = [(P[Y[:, j] == 1, j], P[Y[:, j] == 0, j]) for j in range(L)]
        return np.mean([np.mean([(p > q) + (p == q) / 2 for p in up for q in down]) for up, down in columns])

    def average_precision(pairs):
        positives = [p for y, p in pairs if y == 1]
        return np.mean([sum(q >= p for q in positives) / sum(q >= p for _, q in pairs) for p in positives])

    if name == "average_precision_micro":
        return average_precision(entries)
    labels = [[(Y[i, j], P[i, j]) for i in range(N) if not np.isnan(Y[i, j])] for j in range(L)]
    return np.mean([average_precision(label) for label in labels])


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(3))
def test_partly_annotated_labels_are_scored_as_by_hand(name, seed):
    Y, P, _ = draw(seed)
    masked = np.where(np.random.default_rng(seed).random(Y.shape) < 0.5, np.nan, Y)
    masked[:2] = Y[:2]
    masked[2] = np.nan
    assert MaskedScorer(name)(Answers(P), None, masked) == pytest.approx(by_hand(name, masked, P))


@pytest.mark.parametrize("name", METRICS)
def test_weight_two_is_the_row_twice_and_weight_zero_is_no_row(name):
    Y, P, _ = draw()
    masked = np.where(np.random.default_rng(1).random(Y.shape) < 0.3, np.nan, Y)
    weight = np.arange(N) % 3
    rows = np.repeat(np.arange(N), weight)
    scorer = MaskedScorer(name)
    assert scorer(Answers(P), None, masked, weight) == pytest.approx(scorer(Answers(P[rows]), None, masked[rows]))


@pytest.mark.parametrize("name", ["average_precision_macro", "roc_auc_macro"])
@pytest.mark.parametrize("only", [0, 1, np.nan])
def test_label_with_one_class_is_left_out_of_macro_averages(name, only):
    Y, P, _ = draw()
    with_one_class = np.column_stack([Y, np.full(N, only)])
    answers = Answers(np.column_stack([P, P[:, 0]]))
    assert MaskedScorer(name)(answers, None, with_one_class) == MaskedScorer(name)(Answers(P), None, Y)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    "write",
    [
        lambda Y: np.where(np.isnan(Y), np.nan, 2 * Y - 1),
        lambda Y: np.where(np.isnan(Y), None, Y == 1),
        lambda Y: np.where(np.isnan(Y), pd.NA, Y.astype(object)),
        lambda Y: Y.tolist(),
        lambda Y: pd.DataFrame(Y, columns=list("abcd")).astype("Int8"),
        lambda Y: pd.DataFrame(Y, columns=list("abcd")).astype("boolean"),
    ],
    ids=["signs", "objects", "objects with NA", "lists", "Int8", "boolean"],
)
def test_it_does_not_matter_how_labels_are_written(name, write):
    Y, P, _ = draw()
    masked = np.where(np.random.default_rng(1).random(Y.shape) < 0.3, np.nan, Y)
    scorer = MaskedScorer(name)
    assert scorer(Answers(P), None, write(masked)) == scorer(Answers(P), None, masked)


@pytest.mark.parametrize("name", METRICS)
def test_sparse_labels_are_complete_ones(name):
    Y, P, _ = draw()
    assert MaskedScorer(name)(Answers(P), None, csr_matrix(Y)) == MaskedScorer(name)(Answers(P), None, Y)


@pytest.mark.parametrize("name", METRICS)
def test_forests_answer_is_read_and_a_class_that_training_lacked_has_probability_zero(name):
    Y, _, _ = draw()
    X = np.random.default_rng(0).normal(size=(N, 3))
    train = Y.copy()
    train[:, 0] = 0
    forest = RandomForestClassifier(5, random_state=0).fit(X, train)
    P = np.column_stack([np.zeros(N), *(p[:, 1] for p in forest.predict_proba(X)[1:])])
    expected = MaskedScorer(name)(Answers(P), None, Y)
    assert MaskedScorer(name)(forest, X, Y) == pytest.approx(expected)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"one of average_precision_micro, .*, neg_log_loss, however: name='accuracy'"):
        MaskedScorer("accuracy")


@pytest.mark.parametrize("name", METRICS)
def test_labels_without_any_annotation_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} needs an annotated label, however: all 6 entries"):
        MaskedScorer(name)(Answers(np.full((3, 2), 0.5)), None, np.full((3, 2), np.nan))


def test_labels_that_leave_a_metric_undefined_are_refused():
    half, nothing = Answers(np.full((3, 2), 0.5)), np.zeros((3, 2))
    with pytest.raises(ValueError, match="needs an annotated positive"):
        MaskedScorer("average_precision_micro")(half, None, nothing)
    for name in ("average_precision_macro", "roc_auc_macro"):
        with pytest.raises(ValueError, match="needs a label with both classes"):
            MaskedScorer(name)(half, None, nothing)


@pytest.mark.parametrize("name", METRICS)
def test_answer_of_another_shape_is_refused(name):
    with pytest.raises(ValueError, match=r"of the shape of Y, \(3, 2\), however: \(3, 1\)"):
        MaskedScorer(name)(Answers(np.full((3, 1), 0.5)), None, np.eye(3, 2))


def test_one_dimensional_and_strange_labels_are_refused():
    scorer = MaskedScorer("exact_match")
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, n_labels\), however: \(3,\)"):
        scorer(Answers(np.full((3, 1), 0.5)), None, np.array([0, 1, 1]))
    with pytest.raises(ValueError, match=r"label 'label_1' has \[2.0\]"):
        scorer(Answers(np.full((2, 2), 0.5)), None, [[0, 2], [1, np.nan]])


@pytest.mark.parametrize("weight", [[1, -1, 1], [1, np.nan, 1]])
def test_bad_weights_are_refused(weight):
    with pytest.raises(ValueError, match="sample_weight must not be negative or NaN"):
        MaskedScorer("exact_match")(Answers(np.full((3, 2), 0.5)), None, np.eye(3, 2), weight)


def test_estimator_without_probabilities_is_refused():
    class PredictsOnly:
        def predict(self, X):
            return np.zeros((3, 2))

    with pytest.raises(TypeError, match="must have predict_proba, however: <"):
        MaskedScorer("neg_log_loss")(PredictsOnly(), None, np.eye(3, 2))


def test_scorer_is_pickled_for_other_processes():
    scorer = MaskedScorer("exact_match")
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    predict_no = DummyClassifier().fit(np.zeros((3, 1)), np.zeros((3, 2)))
    assert scorer(predict_no, np.zeros((3, 1)), [[0, 0], [np.nan, 0], [1, 0]]) == pytest.approx(2 / 3)
