import json

import numpy as np
import pytest

from benchmarks import fit_time


@pytest.mark.parametrize("n_labels", [2, 5])
def test_labels_vary(n_labels):
    X, Y = fit_time.make(2000, 6, n_labels, 0.3)
    assert X.shape == (2000, 6)
    assert Y.shape == (2000, n_labels)
    assert set(np.unique(Y)) == {0, 1}
    assert np.all((Y.mean(axis=0) >= 0.02) & (Y.mean(axis=0) <= 0.51))


def test_quick_run_is_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit_time, "QUICK_SHAPES", ((120, 5, 2), (120, 5, 3)))
    monkeypatch.setattr(fit_time, "N_TEST", 1000)
    fit_time.main(["--quick", "--output", str(tmp_path)])
    results = json.loads((tmp_path / "fit_time.json").read_text())
    assert [(result["labels"], result["noise"]) for result in results] == [(2, 0.3), (2, 2.0), (3, 0.3), (3, 2.0)]
    for name in fit_time.LEARNERS:
        assert all(result[name]["fit s"] > 0 for result in results)
        easy, hard = results[2][name]["micro AP"], results[3][name]["micro AP"]
        assert 1 >= easy > hard > 0
    assert "multiples" in capsys.readouterr().out
