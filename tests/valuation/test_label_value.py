import numpy as np
import pandas as pd
import pytest

from rungwise import RungwiseClassifier, label_value
from rungwise.datasets import make_parity
from rungwise.valuation.annotation import next_doubling
from rungwise.valuation.credit import shared_credit
from rungwise.valuation.study import mean_and_error

CLF = RungwiseClassifier(features="sparse", random_state=0)


@pytest.fixture(scope="module")
def chain():
    """Return parities of the first 2 to 5 bits, "whole" being the last, a coin and a constant."""
    X, Y, _ = make_parity(400, 5, random_state=0)
    X, rows = np.unique(X, axis=0, return_index=True)
    # Copies of rows share a fold: a real-valued input tells the examples apart.
    X, Y = np.tile(X, (12, 1)), np.tile(Y[rows], (12, 1))
    rng = np.random.default_rng(0)
    X = np.hstack([X, rng.normal(size=(len(X), 1))])
    labels = pd.DataFrame(Y, columns=["two", "three", "four", "whole"]).astype(float)
    labels["coin"], labels["constant"] = rng.integers(0, 2, len(X)), 1
    labels.loc[::5, "three"] = np.nan
    return X, labels


@pytest.fixture(scope="module")
def valued(chain):
    return label_value(CLF, *chain, target="whole", n_splits=2, n_orders=2)


def test_target_is_no_candidate_and_every_other_label_is_listed(valued, chain):
    assert sorted(valued.frame["label"]) == sorted(set(chain[1]) - {"whole"})
    assert valued.target == "whole"


def test_labels_without_a_bearing_on_the_target_are_worth_nothing(valued):
    own = valued.frame.set_index("label").loc[["coin", "constant"]]
    for name in ("value", "alone", "with_ancestors"):
        assert (own[name].abs() <= 3 * own[f"{name}_se"]).all()
    assert (own["worth_annotating"] == 0).all()


def test_values_add_up_to_what_all_labels_take_off(valued):
    assert valued.frame["value"].sum() == pytest.approx(valued.error_by_itself - valued.error_with_all)


def test_annotated_rows_are_counted(valued, chain):
    counts = valued.frame.set_index("label")["annotated"]
    assert counts["three"] == chain[1]["three"].notna().sum() < counts["two"] == len(chain[0])


def test_order_of_rows_does_not_matter(valued, chain):
    X, Y = chain
    order = np.random.default_rng(1).permutation(len(X))
    again = label_value(CLF, X[order], Y.iloc[order], target="whole", n_splits=2, n_orders=2)
    pd.testing.assert_frame_equal(again.frame, valued.frame)


def test_deep_chain_is_credited_though_no_label_helps_alone():
    X, Y, _ = make_parity(800, 8, random_state=0)
    found = label_value(CLF, X, Y, target=6, n_splits=2, n_orders=1)
    assert found.error_by_itself > 0.4
    assert found.error_with_ancestors == found.error_with_all == 0
    assert (found.frame["found"] == 1).all()
    assert found.frame["value"].sum() == pytest.approx(found.error_by_itself)


def test_credit_is_the_shapley_value_when_all_orders_are_taken():
    # Two of three labels are enough: by symmetry each has a third.
    def wrong(labels):
        return np.array([0.0 if len(labels) >= 2 else 1.0])

    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    credit = shared_credit(wrong, [0, 1, 2], orders, lambda gain: bool(gain.any()))
    np.testing.assert_allclose(credit.mean(axis=0)[:, 0], 1 / 3)


def test_standard_error_is_that_of_a_mean_of_units():
    values = np.random.default_rng(0).normal(size=200)
    mean, error = mean_and_error(values, np.ones(200), np.arange(200))
    assert (mean, error) == pytest.approx((values.mean(), values.std() / np.sqrt(200)))
    # Every row twice is no more evidence.
    twice = mean_and_error(np.tile(values, 2), np.ones(400), np.tile(np.arange(200), 2))
    assert twice == pytest.approx((mean, error))


def test_next_doubling_continues_a_power_law():
    errors = [0.1 + 0.5 * n**-0.4 for n in (25, 50, 100, 200)]
    gain, ratio = next_doubling(errors[0] - errors[1], errors[1] - errors[2])
    assert (gain, ratio) == pytest.approx((errors[2] - errors[3], 2**-0.4))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target": "nonsense"}, KeyError, "no label is called 'nonsense'; the labels are two"),
        ({"target": "constant"}, ValueError, "'constant' must have both classes"),
        ({"clf": "sparse"}, TypeError, "clf must be a RungwiseClassifier, however: 'sparse'"),
        ({"n_splits": 1}, ValueError, "n_splits must be a whole number of at least 2, however: n_splits=1"),
        ({"n_orders": 0}, ValueError, "n_orders must be a whole number of at least 1"),
        ({"Y": np.tile([0, 1], 200)}, ValueError, "Y must have shape"),
    ],
)
def test_bad_input_is_named(chain, change, error, message):
    given = {"clf": CLF, "X": chain[0], "Y": chain[1], "target": "whole"} | change
    clf, X, Y = (given.pop(name) for name in ("clf", "X", "Y"))
    with pytest.raises(error, match=message):
        label_value(clf, X, Y, **given)
