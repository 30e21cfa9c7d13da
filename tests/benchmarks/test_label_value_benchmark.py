import json

import pytest

from benchmarks import label_value


def test_added_labels_have_nothing_to_do_with_the_target():
    X, labels, target, ancestors = label_value.planted((400, 10, 2, 3), 0)
    assert X.shape == (400, 13)
    assert set(labels.columns) - set(label_value.ADDED) >= {target, *ancestors}
    assert ancestors
    assert not ancestors & set(label_value.ADDED)
    assert (labels["aside"] == (X[:, 10:].sum(axis=1) > 0)).all()


def test_quick_run_ranks_true_ancestors_on_top(tmp_path, capsys):
    label_value.main(["--quick", "--output", str(tmp_path)])
    (result,) = json.loads((tmp_path / "label_value.json").read_text())["results"]
    assert result["average precision"] == pytest.approx(1)
    assert "mean average precision 1.000 (at least 0.9): met" in capsys.readouterr().out
