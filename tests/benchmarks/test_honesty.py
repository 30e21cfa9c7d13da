import numpy as np
import pytest

from benchmarks import honesty
from benchmarks.honesty import GROUPS, leaks, make


def test_flipped_majorities_agree_with_three_labels_in_85_percent_of_the_rows():
    _, _, _, Y = make(10, seed=0)
    linear, majorities = Y[:, GROUPS["linear"]], Y[:, GROUPS["majorities"]]
    first = np.array([[j, k, m] for j in range(5) for k in range(j) for m in range(k)])
    agreement = (np.sign(linear[:, first].sum(2))[:, :, None] == majorities[:, None]).mean(0)
    np.testing.assert_allclose(agreement.max(0), 0.85, atol=0.01)


@pytest.mark.parametrize(("data", "n_labels"), [("20 inputs", 15), ("4 inputs", 2)])
def test_forests_do_not_flatter_themselves(data, n_labels):
    losses = leaks(data, {"features": "trees"}, 200, seed=0)
    assert losses.shape[1:] == (2, n_labels)
    assert (losses > 0).all()
    honest, fresh = losses[-1]
    # Within what 200 rows can tell.
    assert honest.mean() == pytest.approx(fresh.mean(), abs=0.03)


def test_table_tells_leaks_and_harm_of_the_last_block(monkeypatch):
    # Honest losses of two labels after two blocks, and fresh ones, which rise by a tenth.
    losses = np.array([[[0.3, 0.1], [0.3, 0.1]], [[0.2, 0.1], [0.34, 0.1]]])
    monkeypatch.setattr(honesty, "leaks", lambda data, settings, n, seed: losses)
    monkeypatch.setattr(honesty, "LEARNERS", {"trees": {}})
    columns = [list(column.cells) for column in honesty.table_of("4 inputs", [300], 2).columns]
    assert columns[2] == ["1", "2", "last"]
    assert columns[4] == ["+0.0000 ± 0.0000", "-0.0700 ± 0.0000", "-0.0700 ± 0.0000"]
    assert columns[5] == ["", "", "+10.00 ± 0.00"]
