import pytest
import torch

from rungwise.fitting import voices
from rungwise.fitting.blend import blend
from rungwise.fitting.voices import choose_shares


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def task(n=400, n_labels=3, seed=0):
    """Return what is true of the rows, log-odds of the labels, and labels drawn with them."""
    log_odds = 4 * torch.randn(n, n_labels, generator=seeded(seed)).double()
    signs = torch.where(torch.rand(n, n_labels, generator=seeded(seed + 1)) < torch.sigmoid(log_odds), 1.0, -1.0)
    return log_odds, signs.double()


def voice(log_odds, noise, slope, seed):
    """Return an estimate that sees the log-odds with noise, and is as sure of them as its slope."""
    seen = log_odds + noise * torch.randn(log_odds.shape, generator=seeded(seed)).double()
    return torch.tanh(slope * seen / 2)


@pytest.fixture(autouse=True)
def two_rivals(monkeypatch):
    monkeypatch.setattr(voices, "_FEWEST_RIVALS", 2)


def shares(candidates, kinds, signs, weights=None, unit=None, link="clip"):
    weights = torch.ones_like(signs) if weights is None else weights
    unit = torch.arange(len(signs)) if unit is None else unit
    return choose_shares(torch.stack(candidates), kinds, signs, weights, unit, link)


def sure_and_timid(seed, n=400, n_labels=3):
    """Return nothing known, one that knows all and is sure of nothing, and one that is sure and knows less."""
    log_odds, signs = task(n, n_labels, seed)
    before = torch.zeros_like(signs)
    return [before, voice(log_odds, 0.3, 0.15, seed + 2), voice(log_odds, 4.0, 0.6, seed + 3)], signs


@pytest.mark.parametrize("seed", range(0, 50, 10))
def test_a_kind_that_is_sure_and_knows_less_does_not_speak(seed):
    candidates, signs = sure_and_timid(seed)
    plain = blend(torch.stack(candidates), signs, torch.ones_like(signs))
    assert plain[2].min() > 0.3  # as a mixture it is heard
    found = shares(candidates, ["timid", "sure"], signs)
    assert (found[2] == 0).all()
    torch.testing.assert_close(found.sum(0), torch.ones(3).double())


@pytest.mark.parametrize("seed", range(0, 100, 10))
def test_kinds_that_know_different_things_all_speak(seed):
    log_odds, signs = task(seed=seed)
    candidates = [torch.zeros_like(signs), *(voice(log_odds, 2.0, 0.6, seed + i) for i in (2, 3, 4))]
    expected = blend(torch.stack(candidates), signs, torch.ones_like(signs))
    assert torch.equal(shares(candidates, ["a", "b", "c"], signs), expected)
    assert (expected[1:] > 0).all()


def test_all_proposals_of_a_kind_are_silent_together():
    candidates, signs = sure_and_timid(0)
    before, timid, sure = candidates
    found = shares([before, sure, timid, sure], ["sure", "timid", "sure"], signs)
    assert (found[[1, 3]] == 0).all()
    assert (found[2] > 0.5).all()


def test_one_kind_has_no_rival():
    candidates, signs = sure_and_timid(0)
    expected = blend(torch.stack(candidates), signs, torch.ones_like(signs))
    assert torch.equal(shares(candidates, ["trees", "trees"], signs), expected)


def test_of_two_kinds_both_are_heard(monkeypatch):
    monkeypatch.undo()
    candidates, signs = sure_and_timid(0)
    assert (shares(candidates, ["timid", "sure"], signs)[2] > 0).all()
    third = [*candidates, candidates[1]]
    assert (shares(third, ["timid", "sure", "other"], signs)[2] == 0).all()


def test_log_odds_are_read_as_probabilities():
    candidates, signs = sure_and_timid(0)
    found = shares([2 * torch.atanh(one) for one in candidates], ["timid", "sure"], signs, link="tanh")
    torch.testing.assert_close(found, shares(candidates, ["timid", "sure"], signs))


def test_copies_tell_no_more_than_a_row():
    more_often = 0
    for seed in range(0, 200, 10):
        log_odds, signs = task(40, seed=seed)
        candidates = [
            torch.zeros_like(signs),
            voice(log_odds, 0.3, 0.15, seed + 2),
            voice(log_odds, 1.2, 0.6, seed + 3),
        ]
        copy = torch.arange(40).repeat(9)
        copies = [one[copy] for one in candidates], ["timid", "sure"], signs[copy], torch.full((360, 3), 1 / 9).double()
        alone = shares(candidates, ["timid", "sure"], signs)
        torch.testing.assert_close(shares(*copies, copy), alone)
        more_often += bool(shares(*copies)[2].max() == 0) - bool(alone[2].max() == 0)
    assert more_often >= 3


def test_weight_two_is_the_row_twice():
    candidates, signs = sure_and_timid(20, n=120)
    weights = torch.ones_like(signs)
    weights[:40] = 2
    heavy = shares(candidates, ["timid", "sure"], signs, weights)
    twice = torch.cat([torch.arange(120), torch.arange(40)])
    copies = shares([one[twice] for one in candidates], ["timid", "sure"], signs[twice], unit=twice)
    torch.testing.assert_close(heavy, copies)


def test_rounding_errors_silence_no_kind():
    # Three that know everything, more or less sure: calibrated, they are equally good.
    for n in range(30, 60):
        signs = torch.where(torch.rand(n, 2, generator=seeded(n)) > 0.5, 1.0, -1.0).double()
        candidates = [torch.zeros_like(signs), 0.999 * signs, 0.99 * signs, 0.9 * signs]
        expected = blend(torch.stack(candidates), signs, torch.ones_like(signs))
        assert torch.equal(shares(candidates, ["a", "b", "c"], signs), expected)


def test_some_of_many_labels_decide_for_all():
    candidates, signs = sure_and_timid(0, n=100, n_labels=300)
    assert (shares(candidates, ["timid", "sure"], signs)[2] == 0).all()


def test_some_of_many_rows_decide_for_all(monkeypatch):
    candidates, signs = sure_and_timid(0, n=1500)
    monkeypatch.setattr(voices, "_JUDGED_ROWS", 300)
    assert (shares(candidates, ["timid", "sure"], signs)[2] == 0).all()


def test_rows_without_annotations_do_not_count():
    candidates, signs = sure_and_timid(0)
    weights = torch.ones_like(signs)
    weights[100:] = 0
    hidden = signs.clone()
    hidden[100:] *= -1
    kinds = ["timid", "sure"]
    assert torch.equal(shares(candidates, kinds, signs, weights), shares(candidates, kinds, hidden, weights))
