import json

import numpy as np
import pytest

from benchmarks import missing_labels


def test_quick_run_scores_every_way_and_writes_it_down(tmp_path, capsys):
    missing_labels.main(["--quick", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "missing_labels.json").read_text())["results"]
    assert len(results) == 2 + len(missing_labels.WAYS)
    scores = {(r["missing"], r["way"]): r["average_precision_micro"] for r in results}
    assert scores[0, "as they are"] > 0.95
    assert scores[0.5, "as they are"] > scores[0.5, "drawn"]
    printed = capsys.readouterr().out
    assert all(way in printed for way in missing_labels.WAYS)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_of_each_label_the_same_number_is_taken_away(share):
    Y = np.random.default_rng(0).integers(0, 2, (50, 7))
    masked = missing_labels.take_away(Y, share, np.random.default_rng(1))
    np.testing.assert_array_equal((~np.isnan(masked)).sum(axis=0), max(2, round(50 * (1 - share))))
    np.testing.assert_array_equal(masked[~np.isnan(masked)], Y[~np.isnan(masked)])


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_missing_labels_are_drawn_as_often_as_the_label_is_positive(share):
    Y = (np.random.default_rng(0).random((4000, 3)) < [0.1, 0.3, 0.6]).astype(int)
    masked = missing_labels.take_away(Y, share, np.random.default_rng(1))
    filled = missing_labels.draw_missing(masked, 1)
    missing = np.isnan(masked)
    np.testing.assert_array_equal(filled[~missing], Y[~missing])
    frequency = np.mean(filled, axis=0, where=missing)
    np.testing.assert_allclose(frequency, np.nanmean(masked, axis=0), atol=0.05)


def test_without_complete_rows_there_is_no_score(tmp_path):
    X = np.random.default_rng(0).normal(size=(6, 2))
    Y = np.eye(6, 40, dtype=int)
    assert missing_labels.run((X, Y, X, Y), 0.5, "complete rows", 0)["average_precision_micro"] is None


def test_set_that_is_not_there_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    missing_labels.main(["--sets", "emotions", "--output", str(tmp_path)])
    assert "emotions is left out: emotions.npz must be in the folder RUNGWISE_DATA" in capsys.readouterr().out
