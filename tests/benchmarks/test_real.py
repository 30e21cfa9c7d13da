import importlib.util
import json
import math
import shutil

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import accuracy_score, average_precision_score, hamming_loss, roc_auc_score

from benchmarks import _real_runs, real
from benchmarks._ranks import critical_difference, groups_without_difference, mean_ranks, ranks_figure
from benchmarks._real_learners import LEARNERS
from benchmarks._real_peers import EarlyStopping, Peer, Regressor, as_it_is, mean_of_labelsets, standardised
from benchmarks._real_runs import FAILED, OK, TIMED_OUT, RunFile, run
from benchmarks._real_scores import MEASURES, N_BINS, score_probabilities
from benchmarks._real_sets import QUICK_SETS, TRAINING_ROWS, load_split
from benchmarks._real_tables import means, ranks

FAST = ["random forest", "logistic, one vs rest"]


def test_scores_equal_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, probability = rng.integers(0, 2, (300, 4)), rng.random((300, 4))
    truth = np.column_stack([truth, np.zeros(300, int), np.ones(300, int)])
    probability = np.column_stack([probability, rng.random((300, 2))])
    scores = score_probabilities(truth, probability)
    positive, varying = [0, 1, 2, 3, 5], [0, 1, 2, 3]
    predicted = (probability > 0.5).astype(int)
    assert list(scores) == list(MEASURES)
    assert scores["micro AP"] == average_precision_score(truth.ravel(), probability.ravel())
    of_labels = [average_precision_score(truth[:, j], probability[:, j]) for j in positive]
    assert scores["macro AP"] == pytest.approx(np.mean(of_labels))
    assert scores["AUC"] == pytest.approx(np.mean([roc_auc_score(truth[:, j], probability[:, j]) for j in varying]))
    assert scores["Hamming"] == pytest.approx(hamming_loss(truth, predicted))
    assert scores["exact"] == pytest.approx(accuracy_score(truth, predicted))
    observed, expected = calibration_curve(truth.ravel(), probability.ravel(), n_bins=N_BINS)
    share = np.histogram(probability, bins=N_BINS, range=(0, 1))[0] / truth.size
    assert scores["ECE"] == pytest.approx(np.sum(share * np.abs(observed - expected)))


def test_what_is_no_probability_is_refused():
    truth = np.array([[0, 1], [1, 0]])
    for value in (1.1, -0.1, np.nan):
        with pytest.raises(ValueError, match="must be in"):
            score_probabilities(truth, np.full((2, 2), value))
    with pytest.raises(ValueError, match="shape"):
        score_probabilities(truth, np.zeros((2, 1)))


def test_ties_share_a_rank_and_no_answer_is_last():
    values = np.array([[0.9, 0.5], [0.8, 0.5], [0.1, np.nan]])
    np.testing.assert_allclose(mean_ranks(values, more_is_better=True), [1.25, 1.75, 3])
    np.testing.assert_allclose(mean_ranks(values, more_is_better=False), [2.25, 1.75, 2])


def test_critical_difference_is_that_of_the_literature():
    # Demšar (2006), section 3.2.2: four learners on 14 sets, 2.569 √(4 · 5 / (6 · 14)).
    assert critical_difference(4, 14) == pytest.approx(2.569 * math.sqrt(20 / 84), abs=1e-3)
    # Two learners: the studentized range is the difference of two normals over its deviation.
    assert critical_difference(2, 1) == pytest.approx(norm.ppf(0.975))


def test_groups_are_the_largest_within_the_difference():
    near = np.array([1.0, 4.0, 1.5, 2.5, 9.0])
    assert groups_without_difference(near, 1.5) == [(1.0, 2.5), (2.5, 4.0)]
    assert groups_without_difference(near, 0.1) == []


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_diagram_is_drawn(tmp_path):
    assert ranks_figure({"exact": {"one": 1.0, "other": 2.0}}, 1.9, tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 1000


def test_regressor_of_zeros_and_ones_is_the_classifier():
    # One label, where impurities are summed in the same order, and ties are therefore broken alike.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    Y = (X[:, :1] + rng.normal(size=(200, 1)) > 0).astype(int)
    settings = {"n_estimators": 20, "max_features": "sqrt", "min_samples_leaf": 5, "random_state": 0}
    ours = Regressor(ExtraTreesRegressor(**settings))
    ours.fit(X, Y[:, 0])
    theirs = ExtraTreesClassifier(**settings).fit(X, Y[:, 0])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X)[:, 1], atol=1e-12)


def test_mean_over_label_sets_counts_only_those_with_the_label():
    parts = [np.array([[1.0, 0.0]]), np.array([[0.5, 0.25]])]
    np.testing.assert_allclose(mean_of_labelsets(parts, [[2, 0], [0, 1]], 3), [[0.25, 0.25, 1.0]])


def test_early_stopping_keeps_the_best_state():
    stopping = EarlyStopping(patience=2)
    over = [stopping.is_over(loss, lambda loss=loss: loss) for loss in (3.0, 1.0, 2.0, 1.5)]
    assert over == [False, False, False, True]
    assert stopping.best == 1.0


@pytest.mark.parametrize("prepare", [as_it_is, standardised])
def test_peer_predicts_constant_labels_as_they_were(prepare):
    class Half:
        def fit(self, X, Y):
            assert isinstance(X, np.ndarray)
            assert (np.ptp(Y, axis=0) > 0).all()
            assert Y.dtype == np.int64

        def predict_proba(self, X):
            return np.full((len(X), 1), 0.5)

    X, Y = csr_matrix([[0.0, 1.0], [2.0, 1.0]]), np.array([[0, 1, 1], [0, 0, 1]], dtype=np.int8)
    probability = Peer(prepare(0), Half()).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(probability, [[0, 0.5, 1]] * 2)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name not in ("rungwise", "TabM", "CatBoost")])
@pytest.mark.filterwarnings("ignore")
def test_learner_gives_probabilities_on_missing_values_and_on_sparse_features(name):
    if not LEARNERS[name].installed:
        pytest.skip(f"{LEARNERS[name].package} is not installed")
    for data in QUICK_SETS:
        split = load_split(data)
        model = LEARNERS[name].make(0)
        model.fit(split.X, split.Y)
        assert score_probabilities(split.Y_test, model.predict_proba(split.X_test))["AUC"] > 0.6


def test_quick_run_is_written_down_and_not_repeated(tmp_path, capsys, monkeypatch):
    command = ["--quick", "--learners", *FAST, "--out", str(tmp_path)]
    real.main(command)
    content = json.loads((tmp_path / "real.json").read_text())
    assert {(r["set"], r["learner"]) for r in content["runs"]} == {(data, name) for data in QUICK_SETS for name in FAST}
    assert {r["state"] for r in content["runs"]} == {OK}
    assert {r["fit / RF"] for r in content["means"] if r["learner"] == "random forest"} == {1.0}
    assert sum(content["mean ranks"]["exact"].values()) == 3
    assert "### generated sparse" in (tmp_path / "real.md").read_text()
    monkeypatch.setattr(real, "run", lambda *arguments: pytest.fail("was run again"))
    real.main(command)
    assert "### Ranks" in capsys.readouterr().out


def test_own_sets_are_read_from_the_folder_and_absent_ones_named(tmp_path, capsys, monkeypatch):
    split, name = load_split("generated dense"), "logistic, one vs rest"
    X, Y = np.vstack([split.X, split.X_test]), np.vstack([split.Y, split.Y_test])
    columns = {"feature_names": list("abcdefghijkl"), "label_names": list("ABCDEFG")}
    rows = {"train_idx": np.arange(160), "valid_idx": np.arange(0), "test_idx": np.arange(160, 240)}
    np.savez(tmp_path / "own.npz", X=X, Y=Y, **columns, **rows)
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    real.main(["--sets", "own", "absent", "--learners", name, "--seeds", "1", "--out", str(tmp_path)])
    [result] = json.loads((tmp_path / "real.json").read_text())["runs"]
    assert (result["set"], result["learner"], result["state"]) == ("own", name, OK)
    assert f"absent: skipped, {tmp_path} has no absent.npz" in capsys.readouterr().out


@pytest.mark.parametrize("name", QUICK_SETS)
def test_parts_of_the_training_rows_are_judged_on_instead_of_test_rows(name):
    def rows(X, Y):
        values = X.toarray() if hasattr(X, "toarray") else np.nan_to_num(X, nan=-1)
        return sorted(map(tuple, np.hstack([values, Y])))

    whole, *parts = load_split(name), *(load_split(name + TRAINING_ROWS, seed) for seed in (0, 1))
    for part in parts:
        assert len(part.Y_test) == len(whole.Y) // 3
        assert sorted(rows(part.X, part.Y) + rows(part.X_test, part.Y_test)) == rows(whole.X, whole.Y)
    assert rows(parts[0].X_test, parts[0].Y_test) != rows(parts[1].X_test, parts[1].Y_test)


def test_training_rows_are_a_set_of_their_own(tmp_path):
    command = ["--quick", "--training-rows", "--learners", "logistic, one vs rest", "--out", str(tmp_path)]
    real.main(command)
    content = json.loads((tmp_path / "real.json").read_text())
    assert {run["set"] for run in content["runs"]} == {name + TRAINING_ROWS for name in QUICK_SETS}
    assert {run["state"] for run in content["runs"]} == {OK}


def test_run_out_of_time_says_so():
    result = run("generated dense", "logistic, one vs rest", 0, limit=0.01)
    assert (result["state"], result["remark"]) == (TIMED_OUT, "no answer in 0.01 s")


def test_failed_run_gives_its_last_words(monkeypatch):
    monkeypatch.setattr(_real_runs.sys, "executable", shutil.which("false"))
    result = run("generated dense", "logistic, one vs rest", 0, limit=10)
    assert (result["state"], result["remark"]) == (FAILED, "exit status 1")


def test_failures_and_shorter_limits_are_tried_again(tmp_path):
    runs = RunFile(tmp_path / "runs.jsonl")
    key = {"set": "s", "seed": 0}
    for learner, state, rest in (("a", OK, {}), ("b", FAILED, {}), ("c", TIMED_OUT, {"limit": 10})):
        runs.add({**key, "learner": learner, "state": state, **rest})
    again = RunFile(tmp_path / "runs.jsonl")
    assert [again.knows("s", learner, 0, 10) for learner in "abcd"] == [True, False, True, False]
    assert not again.knows("s", "c", 0, 20)


def test_learner_without_answer_has_no_means_and_ranks_last():
    done = {**dict.fromkeys(MEASURES, 0.5), "fit s": 2.0, "predict s": 1.0, "start bytes": 0, "peak bytes": 2**20}
    runs = [
        {"set": "s", "learner": "random forest", "seed": 0, "state": OK, **done},
        {"set": "s", "learner": "quick", "seed": 0, "state": OK, **done, "fit s": 1.0, "micro AP": 0.75},
        {"set": "s", "learner": "slow", "seed": 0, "state": TIMED_OUT, "remark": "no answer in 10 s"},
    ]
    table = means(runs)
    assert table["s", "quick"]["fit / RF"] == 0.5
    assert "micro AP" not in table["s", "slow"]
    assert "timed out" in table["s", "slow"]["remark"]
    assert ranks(table, ["s"])[0]["micro AP"] == {"quick": 1, "random forest": 2, "slow": 3}
