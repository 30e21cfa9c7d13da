import numpy as np
import pandas as pd
import pytest

from rungwise import load
from rungwise._demo_learners import LEARNERS, OURS
from rungwise.datasets import make_digit_pairs
from rungwise.demo import ALL_LABELS, VERDICTS, measure, run, summary


@pytest.fixture(scope="module")
def measured():
    return measure((120,), n_test=200, show=lambda description, advance: None)


def test_every_learner_is_measured_on_both_kinds_of_labels(measured):
    expected = {(120, learner, labels) for learner in LEARNERS for labels in (VERDICTS, ALL_LABELS)}
    assert set(measured.errors.index) == expected
    assert list(measured.errors.columns) == measured.train.label_names[20:]
    assert ((measured.errors >= 0) & (measured.errors <= 1)).all(axis=None)


def test_errors_are_those_of_the_predictions(measured):
    wrong = (measured.predictions.to_numpy() != measured.test.Y).mean(axis=0)[20:]
    np.testing.assert_allclose(measured.errors.loc[(120, OURS, ALL_LABELS)], wrong)


def test_no_test_image_was_seen_in_training(measured):
    train = {*measured.train.left, *measured.train.right}
    assert train.isdisjoint({*measured.test.left, *measured.test.right})


def test_granular_labels_are_learned_even_from_few_pairs(measured):
    wrong = (measured.predictions.to_numpy() != measured.test.Y).mean(axis=0)[:20]
    assert wrong.mean() < 0.08  # "never" is wrong for 10 %


def test_run_prints_the_tables_and_leaves_a_model_that_gives_its_predictions(tmp_path, capsys):
    folder = tmp_path / "new" / "demo"
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text("of an earlier run")
    run(folder, quick=True, force=True)
    printed = capsys.readouterr().out
    for word in ("sum >= 10", "level", "parents", "test error", "logistic chain", "random forest", "MLP"):
        assert word in printed
    predictions = pd.read_csv(folder / "predictions.csv")
    test = make_digit_pairs(len(predictions), subset="test", random_state=1)
    X = pd.DataFrame(test.X, columns=test.feature_names)
    model = load(folder / "model.rungwise")
    assert list(predictions.columns) == model.label_names_ == test.label_names
    np.testing.assert_array_equal(model.predict(X), predictions)


@pytest.mark.parametrize("name", ["model.rungwise", "predictions.csv"])
def test_files_that_exist_are_kept_without_force(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=f"{name}' exists.*--force"):
        run(tmp_path, quick=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "f").write_text("precious")
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        run(tmp_path / "f", quick=True, force=True)


def errors_of(ours, peers):
    """Return errors of two verdicts at 300 pairs: ours with all labels, the peers with the verdicts alone."""
    rows = {(300, OURS, ALL_LABELS): ours, (300, OURS, VERDICTS): [0.5, 0.5]}
    rows |= {(300, learner, VERDICTS): error for learner, error in peers.items()}
    index = pd.MultiIndex.from_tuples(rows, names=["n_pairs", "learner", "labels"])
    return pd.DataFrame(list(rows.values()), index=index, columns=["sum even", "same digit"])


def test_summary_names_the_best_peer_and_the_verdicts_that_granular_labels_do_not_help():
    text = summary(errors_of([0.1, 0.2], {"random forest": [0.3, 0.3], "MLP": [0.5, 0.2]}))
    assert "300 pairs: 15.0% of verdicts are wrong" in text
    assert "30.0% with the best peer without (random forest): 0.50 times as many" in text
    assert 'No help, against the best peer for each verdict, with "same digit" (1.00)' in text


def test_summary_says_so_when_granular_labels_help_everywhere():
    text = summary(errors_of([0.1, 0.1], {"random forest": [0.4, 0.2], "MLP": [0.5, 0.3]}))
    assert 'They help with every verdict, least with "same digit" (0.50)' in text


def test_summary_does_not_stumble_over_peers_without_error():
    text = summary(errors_of([0.0, 0.1], {"random forest": [0.0, 0.2], "MLP": [0.0, 0.3]}))
    assert 'No help, against the best peer for each verdict, with "sum even" (nan)' in text
