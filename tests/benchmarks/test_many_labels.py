import json

import numpy as np

from benchmarks import many_labels


def test_labels_have_parents_and_rows_on_both_sides():
    X, Y = many_labels.make(60)
    assert X.shape == (2400, 80)
    assert Y.shape == (2400, 60)
    assert set(np.unique(Y)) == {0, 1}
    has_parent = [(Y[:, :child] >= Y[:, [child]]).all(axis=0).any() for child in range(many_labels.N_ROOTS, 60)]
    assert all(has_parent)


def test_quick_run_is_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(many_labels, "QUICK_SIZES", (21,))
    many_labels.main(["--quick", "--output", str(tmp_path)])
    runs = json.loads((tmp_path / "many_labels.json").read_text())
    assert [(run["learner"], run["labels"]) for run in runs] == [("rungwise", 21), ("random forest", 21)]
    assert all(run["fit s"] > 0 and run["peak bytes"] > 1e6 for run in runs)
