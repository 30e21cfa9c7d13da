"""Certainty: what is known as well as its noise allows may be built upon."""

import numpy as np
import pytest
import torch

from rungwise.features.opinions import nearly_certain

N = 2000


def certain(read, targets, weights=None):
    read, targets = (torch.as_tensor(column, dtype=torch.float64)[:, None] for column in (read, targets))
    weights = torch.ones_like(targets) if weights is None else torch.as_tensor(weights, dtype=torch.float64)[:, None]
    return nearly_certain(read, targets, weights / weights.sum(0).clamp(min=1e-9)).item()


def flipped(truth, share):
    return np.where(np.arange(len(truth)) % 1000 < 1000 * share, -truth, truth)


@pytest.fixture
def truth():
    return np.random.default_rng(0).choice([-1.0, 1.0], size=N)


@pytest.mark.parametrize(("errors", "expected"), [(0, True), (0.009, True), (0.011, False)])
def test_few_rows_may_be_wrong(truth, errors, expected):
    wrong = flipped(truth, errors) != truth
    assert certain(np.where(wrong, -0.2, 0.9) * truth, truth) is expected  # 2 % of the errors of the frequency, .5


def test_few_errors_are_fewer_where_a_label_is_rare():
    rare = np.where(np.arange(N) % 1000 < 100, 1.0, -1.0)
    for missed, expected in [(1, True), (3, False)]:
        read = np.where(np.arange(N) % 1000 < missed, -0.1, 0.9 * rare)
        assert certain(read, rare) is expected


@pytest.mark.parametrize(("noise", "expected"), [(0.02, True), (0.12, True), (0.13, False)])
def test_even_noise_is_no_doubt_up_to_a_quarter_of_the_errors(truth, noise, expected):
    assert certain((1 - 2 * noise) * truth, flipped(truth, noise)) is expected


def test_errors_where_estimates_are_less_sure_are_no_noise(truth):
    noisy = flipped(truth, 0.05)
    sureness = np.where(noisy == truth, np.linspace(0.2, 0.9, N), 0.1)
    assert certain(0.9 * truth, noisy)
    assert not certain(sureness * truth, noisy)


def test_underconfident_estimates_are_certain(truth):
    assert certain(0.3 * truth, truth)


def test_frequency_is_never_certain(truth):
    assert not certain(np.zeros(N), truth)
    rare = np.where(np.arange(N) < 20, 1.0, -1.0)
    assert not certain(np.full(N, rare.mean()), rare)


def test_a_label_that_is_always_there_is_never_certain():
    for n in (20, 57, 94, 131, 242, 279):  # shares whose sum is not quite 1
        for value in (-1, 1):
            for weights in (np.ones(n), np.linspace(0.1, 3, n), np.zeros(n)):
                assert not certain(np.full(n, value), np.full(n, value), weights)


def test_a_weight_is_a_copy():
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(100):
        truth = rng.choice([-1.0, 1.0], size=200)
        wrong = rng.random(200) < 0.05
        read, weights = truth * rng.uniform(0.3, 1, 200), rng.choice([1, 3], size=200)
        copied = [np.repeat(column, weights) for column in (read, np.where(wrong, -truth, truth))]
        verdicts.append(certain(*copied))
        assert certain(read, np.where(wrong, -truth, truth), weights) is verdicts[-1]
    assert {*verdicts} == {True, False}


def test_targets_between_are_means_of_copies(truth):
    unsure = np.arange(N) % 100 == 0
    assert certain(np.where(unsure, 0.1, 1) * truth, np.where(unsure, 0.2, 1) * truth)  # .4 of each copy are wrong
    assert not certain(np.where(unsure, 0.1, 1) * truth, np.where(unsure, -1, 1) * truth)


def test_rows_that_are_not_annotated_do_not_matter(truth):
    annotated = np.arange(N) % 2 == 0
    read, targets = np.where(annotated, truth, 0.0), np.where(annotated, truth, 1.0)
    assert certain(read, targets, annotated)
    assert not certain(read, targets)
    assert not certain(np.where(annotated, 0.0, truth), truth, annotated)
