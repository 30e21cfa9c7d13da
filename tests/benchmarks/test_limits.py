import json

import numpy as np
import pytest

from benchmarks import limits


@pytest.mark.parametrize("name", limits.CASES)
def test_case_has_a_target_of_two_classes_among_other_labels(name):
    X, labels = limits.CASES[name](500, np.random.default_rng(0))
    assert len(X) == len(labels) == 500
    assert labels.shape[1] > 10
    assert 0.2 < labels[limits.TARGET].mean() < 0.8
    assert labels.columns.is_unique


def test_missing_rung_leaves_the_lowest_and_the_target():
    _, labels = limits.missing_rung(50, np.random.default_rng(0))
    assert {name.split("_")[0] for name in labels} == {"level1", limits.TARGET}


def test_flipped_rungs_are_wrong_in_two_of_five_rows_and_the_target_never():
    _, right = limits.rungs(4000, np.random.default_rng(0))
    _, flipped = limits.noisy_rungs(4000, np.random.default_rng(0))
    wrong = (right != flipped).mean()
    assert wrong.pop(limits.TARGET) == 0
    np.testing.assert_allclose(wrong, 0.4, atol=0.03)


def test_rungs_help_and_coins_do_not(tmp_path, capsys):
    limits.main(["--quick", "--case", "rungs", "--case", "coins", "--output", str(tmp_path)])
    rungs, coins = json.loads((tmp_path / "limits.json").read_text())["results"]
    assert (rungs["error with labels"], rungs["labels without a formula"]) == (0, 0)
    assert rungs["error alone"] > 0.3
    assert (coins["target's level"], coins["labels never learned"]) == (0, 12)
    assert "12 of 12" in capsys.readouterr().out
