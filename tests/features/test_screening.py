"""Screening: scores are the R² of regressions, and the beams hold the best sets, each once."""

from itertools import combinations

import numpy as np
import pytest
import torch

from rungwise.features import screening
from rungwise.features.screening import Beam, Screen, cell_index


def draw(n=300, n_literals=9, n_labels=4, seed=0):
    """Return literals ±1 of different frequencies, (n_literals, n), and targets that have something to do with them."""
    rng = np.random.default_rng(seed)
    literals = np.where(rng.random((n_literals, n)) < rng.uniform(0.2, 0.8, size=(n_literals, 1)), 1.0, -1.0)
    literals[1] = np.where(rng.random(n) < 0.8, literals[0], literals[1])
    targets = np.where(literals[:n_labels] * literals[2 : 2 + n_labels] + rng.normal(size=(n_labels, n)) > 0, 1.0, -1.0)
    return literals, targets.T


def make_screen(literals, targets, weights=None, room=None, parts=1):
    weights = np.ones(targets.shape) if weights is None else weights
    arrays = (torch.as_tensor(array, dtype=torch.float32) for array in (targets, weights))
    screen = Screen(*arrays, room or len(literals))
    for part in np.array_split(literals, parts):
        screen.add(torch.as_tensor(part, dtype=torch.float32))
    return screen


def r2(columns, y):
    """R² of the least-squares regression of y on the columns and a constant."""
    design = np.stack([np.ones_like(y), *columns], axis=1)
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return 1 - residual.var() / y.var()


def all_pairs(screen, n_labels):
    """Return a beam that has room for every pair."""
    beam = Beam.empty(n_labels, screen.n_literals * (screen.n_literals - 1) // 2, 2)
    screen.screen_pairs(torch.arange(n_labels), beam)
    return beam


def scores_of(beam, label):
    return {tuple(s): float(v) for s, v in zip(beam.sets[label].tolist(), beam.scores[label], strict=True) if v >= 0}


@pytest.mark.parametrize("seed", range(3))
def test_score_of_a_pair_is_the_r2_of_the_regression_on_both_and_their_product(seed):
    literals, targets = draw(seed=seed)
    beam = all_pairs(make_screen(literals, targets), 4)
    for label in range(4):
        scores = scores_of(beam, label)
        assert set(scores) == set(combinations(range(9), 2))
        for (a, b), score in scores.items():
            expected = r2([literals[a], literals[b], literals[a] * literals[b]], targets[:, label])
            assert score == pytest.approx(expected, abs=2e-4)


def test_gradients_of_any_size_are_scored_as_labels_are():
    literals, targets = draw()
    gradients = np.random.default_rng(1).normal(size=targets.shape) + 3 * targets - 7
    beam = all_pairs(make_screen(literals, gradients), 4)
    for (a, b), score in scores_of(beam, 2).items():
        expected = r2([literals[a], literals[b], literals[a] * literals[b]], gradients[:, 2])
        assert score == pytest.approx(expected, abs=2e-4)


def test_with_missing_annotations_the_moments_of_the_literals_are_those_of_the_mean_weights():
    # That saves one product for every label, and makes the scores approximate: cᵀ Σ⁻¹ c, with c the correlations with
    # the annotated targets and Σ the correlations of the literals on all rows, by their mean weight over the labels.
    literals, targets = draw(n=2000)
    weights = np.random.default_rng(5).binomial(1, 0.5, size=targets.shape).astype(float)
    beam = all_pairs(make_screen(literals, targets, weights), 4)
    for label in range(4):
        seen = weights[:, label] > 0
        y = targets[seen, label]
        for (a, b), score in scores_of(beam, label).items():
            columns = np.stack([literals[a], literals[b], literals[a] * literals[b]])
            share = weights.mean(1) / weights.sum() * weights.shape[1]
            centred = columns - columns @ share[:, None]
            covariance = centred * share @ centred.T
            c = centred[:, seen] @ (y - y.mean()) / len(y) / y.std()
            assert score == pytest.approx(c @ np.linalg.solve(covariance, c), abs=1e-3)
            # What the approximation costs: sampling error of the moments.
            assert score == pytest.approx(r2(columns[:, seen], y), abs=0.05)


def test_value_where_the_weight_is_zero_does_not_matter():
    literals, targets = draw()
    weights = np.random.default_rng(5).binomial(1, 0.5, size=targets.shape).astype(float)
    one = all_pairs(make_screen(literals, targets, weights), 4)
    other = all_pairs(make_screen(literals, np.where(weights > 0, targets, -targets), weights), 4)
    torch.testing.assert_close(one.scores, other.scores)


def test_weight_two_is_the_row_twice_to_the_correlations():
    literals, targets = draw()
    twice = np.random.default_rng(0).integers(1, 3, size=len(targets))
    weighted = make_screen(literals, targets, np.repeat(twice[:, None].astype(float), 4, axis=1))
    torch.testing.assert_close(
        weighted.mean, make_screen(np.repeat(literals, twice, 1), np.repeat(targets, twice, 0)).mean
    )


def test_constant_literals_copies_and_constant_labels_score_finite_numbers():
    literals, targets = draw()
    literals[3], literals[4], literals[5] = 1.0, literals[0], -literals[0]
    targets[:, 0] = 1.0
    beam = all_pairs(make_screen(literals, targets), 4)
    assert torch.isfinite(beam.scores).all()
    assert beam.scores.max() <= 1.001
    for label in range(1, 4):
        scores = scores_of(beam, label)
        alone = r2([literals[0]], targets[:, label])
        for pair in ((0, 3), (0, 4), (0, 5)):
            assert scores[pair] == pytest.approx(alone, abs=1e-3)


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_pairs_are_the_same_however_literals_arrive(parts):
    literals, targets = draw()
    labels = torch.arange(4)
    whole = make_screen(literals, targets)
    at_once = Beam.empty(4, 5, 2)
    whole.screen_pairs(labels, at_once)
    screen = make_screen(literals[:0], targets, room=9)
    beam = Beam.empty(4, 5, 2)
    for part in np.array_split(literals, parts):
        screen.add(torch.as_tensor(part, dtype=torch.float32))
        screen.screen_pairs(labels, beam)
    torch.testing.assert_close(beam.scores, at_once.scores)
    assert torch.equal(beam.sets, at_once.sets)
    assert screen.operations == whole.operations


def test_nothing_new_costs_nothing():
    literals, targets = draw()
    screen = make_screen(literals, targets)
    labels, beam = torch.arange(4), Beam.empty(4, 5, 2)
    screen.screen_pairs(labels, beam)
    before, sets = screen.operations, beam.sets.clone()
    screen.screen_pairs(labels, beam)
    assert screen.operations == before
    assert torch.equal(beam.sets, sets)


def test_operations_of_every_pair_are_counted_once():
    literals, targets = draw(n=300)
    screen = make_screen(literals, targets)
    screen.screen_pairs(torch.tensor([0, 2, 3]), Beam.empty(4, 5, 2))
    assert screen.operations == 2 * 300 * 3 * len(list(combinations(range(9), 2)))


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("n_literals", [9, 60])
def test_beam_holds_the_best_pairs_without_duplicates(width, n_literals):
    literals, targets = draw(n_literals=n_literals)
    every = all_pairs(make_screen(literals, targets), 4)
    screen, beam = make_screen(literals, targets, parts=4), Beam.empty(4, width, 2)
    screen.screen_pairs(torch.arange(4), beam)
    torch.testing.assert_close(beam.scores, every.scores[:, :width])
    for label in range(4):
        assert len(scores_of(beam, label)) == width
    assert beam.fresh.all()


@pytest.mark.parametrize("n_pairs", [1, 4, 25, 64])
def test_blocks_of_any_size_find_the_pairs_that_regressions_find(monkeypatch, n_pairs):
    monkeypatch.setattr(screening, "_MOST_PAIRS", n_pairs)
    monkeypatch.setattr(screening, "_MOST_LABELS", 3)
    literals, targets = draw(n_literals=20)
    screen, beam = make_screen(literals[:0], targets, room=20), Beam.empty(4, 6, 2)
    for part in np.array_split(literals, [1, 2, 9]):
        screen.add(torch.as_tensor(part, dtype=torch.float32))
        screen.screen_pairs(torch.arange(4), beam)
    pairs = list(combinations(range(20), 2))
    for label in range(4):
        score = {(a, b): r2([literals[a], literals[b], literals[a] * literals[b]], targets[:, label]) for a, b in pairs}
        assert scores_of(beam, label) == pytest.approx(
            {pair: score[pair] for pair in sorted(pairs, key=score.__getitem__)[-6:]}, abs=2e-4
        )
    assert screen.operations == 2 * 300 * 4 * len(pairs)


def test_labels_not_asked_for_are_left_alone():
    literals, targets = draw()
    screen, beam = make_screen(literals, targets), Beam.empty(4, 3, 2)
    screen.screen_pairs(torch.tensor([1, 3]), beam)
    assert (beam.scores[[0, 2]] == -1).all()
    assert (beam.sets[[0, 2]] == -1).all()
    assert (beam.scores[[1, 3]] > 0).all()


def test_merge_keeps_the_best_and_each_set_once():
    beam = Beam.empty(2, 3, 2)
    sets = torch.tensor([[0, 1], [0, 2], [0, 1], [1, 2], [3, 4]])
    beam.merge(torch.tensor([0, 0, 0, 0, 1]), sets, torch.tensor([0.5, 0.2, 0.4, 0.9, 0.1]))
    assert beam.sets[0].tolist() == [[1, 2], [0, 1], [0, 2]]
    torch.testing.assert_close(beam.scores[0], torch.tensor([0.9, 0.5, 0.2]))
    assert beam.sets[1].tolist() == [[3, 4], [-1, -1], [-1, -1]]
    beam.fresh[:] = False
    beam.merge(torch.tensor([0, 0]), torch.tensor([[0, 1], [5, 6]]), torch.tensor([0.5, 0.3]))
    assert beam.sets[0].tolist() == [[1, 2], [0, 1], [5, 6]]
    assert beam.fresh[0].tolist() == [False, False, True]  # what was there is no news
    assert beam.fresh[1].tolist() == [False, False, False]


def test_offers_displace_what_is_worse_and_only_they_are_fresh():
    beam = Beam.empty(3, 2, 2)
    beam.merge(torch.tensor([0, 0, 1]), torch.tensor([[0, 1], [0, 2], [0, 1]]), torch.tensor([0.5, 0.2, 0.9]))
    beam.fresh[:] = False
    offered = torch.tensor([[0.3, 0.1, 0.8], [-torch.inf, -torch.inf, 0.7], [0.1, 0.4, 0.6]])
    beam.offer(torch.arange(3), torch.tensor([[1, 2], [1, 3], [2, 3]]), offered)
    assert beam.sets.tolist() == [[[0, 1], [1, 2]], [[0, 1], [2, 3]], [[1, 2], [1, 3]]]
    torch.testing.assert_close(beam.scores, torch.tensor([[0.5, 0.3], [0.9, 0.4], [0.8, 0.7]]))
    assert beam.fresh.tolist() == [[False, True], [False, True], [True, True]]


def cell_r2(literals, members, y, weights):
    """R² of predicting y by its weighted mean in each cell, by a loop over the cells."""
    mean = np.average(y, weights=weights)
    predicted = np.full(len(y), mean)
    patterns = literals[list(members)].T
    for pattern in np.unique(patterns, axis=0):
        cell = (patterns == pattern).all(axis=1)
        if weights[cell].sum() > 0:
            predicted[cell] = np.average(y[cell], weights=weights[cell])
    return 1 - np.average((y - predicted) ** 2, weights=weights) / np.average((y - mean) ** 2, weights=weights)


@pytest.mark.parametrize("weighting", ["full", "partial", "weighted"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_score_of_an_extended_set_is_the_r2_of_the_cell_means(size, weighting):
    literals, targets = draw()
    rng = np.random.default_rng(3)
    weights = {
        "full": np.ones(targets.shape),
        "partial": rng.binomial(1, 0.5, size=targets.shape).astype(float),
        "weighted": rng.exponential(size=targets.shape),
    }[weighting]
    screen = make_screen(literals, targets, weights)
    labels, sets = torch.tensor([0, 1, 3]), torch.tensor([[0, 1, 2], [2, 5, 7], [0, 4, 8]])[:, :size]
    beam = Beam.empty(4, 9, size + 1)
    screen.extend(labels, sets, 0, beam)
    for label, members in zip(labels.tolist(), sets.tolist(), strict=True):
        scores = scores_of(beam, label)
        assert set(scores) == {tuple(sorted([*members, c])) for c in range(9) if c not in members}
        for members_and_one, score in scores.items():
            expected = cell_r2(literals, members_and_one, targets[:, label], weights[:, label])
            assert score == pytest.approx(expected, abs=1e-4)


def test_extension_by_new_literals_only_adds_those():
    literals, targets = draw()
    screen, beam = make_screen(literals, targets), Beam.empty(4, 9, 3)
    screen.extend(torch.tensor([0, 0]), torch.tensor([[0, 1], [1, 6]]), 6, beam)
    found = [tuple(members) for members in beam.sets[0].tolist() if members[0] >= 0]
    assert sorted(found) == [(0, 1, 6), (0, 1, 7), (0, 1, 8), (1, 6, 7), (1, 6, 8)]


def test_set_reached_in_two_ways_is_held_once():
    literals, targets = draw()
    screen, beam = make_screen(literals, targets), Beam.empty(4, 9, 3)
    screen.extend(torch.tensor([0, 0, 0]), torch.tensor([[0, 1], [1, 2], [0, 2]]), 0, beam)
    found = [tuple(members) for members in beam.sets[0].tolist() if members[0] >= 0]
    assert len(set(found)) == len(found) == 9
    assert found.count((0, 1, 2)) == 1


def test_parities_of_three_are_found():
    rng = np.random.default_rng(0)
    literals = rng.choice([-1.0, 1.0], size=(12, 400))
    triples = [(0, 1, 2), (3, 7, 11), (4, 5, 6)]
    targets = np.stack([literals[list(triple)].prod(axis=0) for triple in triples], axis=1)
    screen, beam = make_screen(literals, targets), Beam.empty(3, 4, 3)
    screen.screen_parities(torch.arange(3), 0, beam)
    assert [tuple(sets[0]) for sets in beam.sets.tolist()] == triples
    assert (beam.scores[:, 0] > 0.9).all()
    assert (beam.scores[:, 1] < 0.1).all()
    assert screen.operations == 2 * 400 * 3 * len(list(combinations(range(12), 3)))


def test_score_of_a_parity_is_its_squared_correlation():
    literals, targets = draw()
    screen, beam = make_screen(literals, targets), Beam.empty(4, 84, 3)
    screen.screen_parities(torch.arange(4), 0, beam)
    scores = scores_of(beam, 1)
    assert set(scores) == set(combinations(range(9), 3))
    for members, score in scores.items():
        expected = np.corrcoef(literals[list(members)].prod(axis=0), targets[:, 1])[0, 1] ** 2
        assert score == pytest.approx(expected, abs=1e-4)


def test_parities_with_something_new_are_the_ones_screened():
    literals, targets = draw()
    screen, beam = make_screen(literals, targets), Beam.empty(4, 84, 3)
    screen.screen_parities(torch.arange(4), 7, beam)
    assert set(scores_of(beam, 0)) == {members for members in combinations(range(9), 3) if members[2] >= 7}


def test_cell_is_the_literals_read_as_a_binary_number():
    rng = np.random.default_rng(0)
    literals = rng.random((5, 40)) < 0.5
    sets = torch.tensor([[0, 1, 2], [4, 2, 0]])
    cells = cell_index(torch.as_tensor(literals), sets)
    for members, cell in zip(sets.tolist(), cells.tolist(), strict=True):
        assert cell == [int("".join(str(int(literals[m, i])) for m in members), 2) for i in range(40)]
