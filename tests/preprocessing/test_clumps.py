"""Rows of few subjects are told from rows that stand alone, however those are distributed."""

import numpy as np
import pytest
from scipy.stats import rankdata

from rungwise.preprocessing.clumps import SUSPICIOUS, clumped_share


def measure(n_subjects, n_rows, n_inputs, noise, seed=0):
    """Return several noisy measurements of each subject, and labels drawn by lot for each subject."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_rows)
    x = rng.normal(size=(n_subjects, n_inputs))[subject]
    targets = rng.choice([-1.0, 1.0], size=(n_subjects, 4), p=[0.6, 0.4])[subject]
    return (x + noise * rng.normal(size=x.shape)) / np.hypot(1, noise), targets


def follow(x, seed=0, noise=0.3):
    """Return labels that are noisy linear functions of the inputs."""
    rng = np.random.default_rng(seed)
    score = x @ rng.normal(size=(x.shape[1], 4)) / np.sqrt(x.shape[1]) + noise * rng.normal(size=(len(x), 4))
    return np.where(score > np.median(score, axis=0), 1.0, -1.0)


@pytest.mark.parametrize("n_rows", [2, 5, 15])
@pytest.mark.parametrize(("n_inputs", "noise"), [(20, 0.2), (60, 0.5), (8, 0.05)])
@pytest.mark.parametrize("n", [300, 1000])
def test_measurements_of_subjects_are_recognised(n_rows, n_inputs, noise, n):
    x, targets = measure(n // n_rows, n_rows, n_inputs, noise)
    assert clumped_share(x, targets) > 0.5


INDEPENDENT = {
    **{f"normal in {d}": lambda rng, n, d=d: rng.normal(size=(n, d)) for d in (1, 3, 30)},
    "few directions": lambda rng, n: rng.normal(size=(n, 3)) @ rng.normal(size=(3, 30)),
    "clusters": lambda rng, n: 4 * rng.normal(size=(5, 10))[rng.integers(0, 5, n)] + rng.normal(size=(n, 10)),
    "heavy tails": lambda rng, n: rng.standard_t(1.5, size=(n, 8)),
    "skew": lambda rng, n: np.exp(2 * rng.normal(size=(n, 8))),
    "bits": lambda rng, n: rng.choice([-1.0, 1.0], size=(n, 12)),
    "counts": lambda rng, n: rng.poisson(0.5, size=(n, 10)).astype(float),
    "bits and a number": lambda rng, n: np.c_[rng.integers(0, 2, size=(n, 4)), rng.normal(size=n)],
    "categories and rounded numbers": lambda rng, n: np.c_[
        np.eye(10)[rng.integers(0, 10, n)], rng.normal(size=(n, 3)).round(1)
    ],
    "many zeros": lambda rng, n: np.maximum(0, rng.normal(size=(n, 10))),
}


@pytest.mark.parametrize("kind", INDEPENDENT)
@pytest.mark.parametrize("n", [210, 1000])
def test_rows_that_stand_alone_raise_no_suspicion(kind, n):
    for seed in range(3):
        x = INDEPENDENT[kind](np.random.default_rng(seed), n)
        targets = follow(rankdata(x, axis=0) / n, seed, noise=0.05)
        assert clumped_share((x - x.mean(axis=0)) / x.std(axis=0), targets) < 0.8 * SUSPICIOUS


def test_clumps_whose_rows_do_not_share_labels_do_not_matter():
    x, targets = measure(100, 5, 20, 0.1)
    assert clumped_share(x, targets) > 0.9
    by_lot = np.random.default_rng(1).choice([-1.0, 1.0], size=targets.shape)
    assert clumped_share(x, by_lot) < 0.05


def test_classes_that_are_clumps_do_not_matter():
    x, _ = measure(30, 12, 20, 0.1)
    classes = np.where(np.repeat(np.arange(30), 12)[:, None] == np.arange(30), 1.0, -1.0)
    assert clumped_share(x, classes) == 0


def test_copies_of_rows_are_no_clumps():
    x = np.random.default_rng(0).normal(size=(300, 10))
    targets = follow(x)
    assert clumped_share(np.repeat(x, 5, axis=0), np.repeat(targets, 5, axis=0)) == clumped_share(x, targets)


def test_order_of_rows_does_not_matter_and_a_few_rows_tell_nothing():
    x, targets = measure(100, 5, 20, 0.3)
    order = np.random.default_rng(0).permutation(500)
    assert clumped_share(x[order], targets[order]) == clumped_share(x, targets)
    assert clumped_share(x[:150], targets[:150]) == 0


def test_missing_annotations_are_left_out():
    x, targets = measure(100, 5, 20, 0.2)
    annotated = np.random.default_rng(0).random(targets.shape) < 0.5
    assert clumped_share(x, targets * annotated) > 0.9
    assert clumped_share(x, 0 * targets) == 0
