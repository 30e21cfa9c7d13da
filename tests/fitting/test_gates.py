"""Gates, and when they are believed: against direct formulas and a loop over the examples."""

from math import comb, inf, log2

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rungwise.fitting.gates import (
    CONFIDENCE_BITS,
    LIKELY,
    SIGNIFICANT,
    SURE,
    Examples,
    Gate,
    entropy_bits,
    judge,
    log2_choose,
)


def make_examples(literals, targets, weights=None):
    weights = np.ones(targets.shape) if weights is None else weights
    examples = Examples(torch.as_tensor(targets), torch.as_tensor(weights), len(literals) + 3)
    examples.add(torch.as_tensor(literals), torch.zeros(len(literals), dtype=torch.bool))
    return examples


def draw(n=120, n_literals=6, n_labels=3, seed=0):
    rng = np.random.default_rng(seed)
    literals = rng.random((n_literals, n)) < rng.uniform(0.2, 0.8, size=(n_literals, 1))
    targets = np.where(literals[:n_labels] & literals[1 : n_labels + 1], 1.0, -1.0).T
    flipped = rng.random(targets.shape) < [[0.0, 0.1, 0.3][:n_labels]]
    return literals, np.where(flipped, -targets, targets)


def bits(positive, total):
    """Return n H(p) in plain Python."""
    shares = [positive / total, 1 - positive / total] if total else []
    return -total * sum(p * log2(p) for p in shares if p > 0)


@pytest.mark.parametrize("kind", ["table", "threshold"])
def test_margin_is_the_least_of_a_loop_over_the_annotated_examples(kind):
    literals, targets = draw()
    weights = np.random.default_rng(1).binomial(1, 0.7, size=targets.shape).astype(float)
    examples = make_examples(literals, targets, weights)
    own = (0, 1, 4)
    if kind == "table":
        gate = Gate(own, 0.0, 10.0, torch.tensor([False, True, True, False, True, False, False, False]))
    else:
        gate = Gate(own, 0.0, 10.0, weights=(2.0, 2.0, -1.0), constant=-2.0)
    for label in range(3):
        margins = [
            targets[i, label] * gate.polynomial(np.where(literals[list(own), i], 1, -1)[None])[0]
            for i in range(len(targets))
            if weights[i, label] > 0
        ]
        assert examples.margin(label, gate) == pytest.approx(min(margins))


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_entropy_is_the_formula(positive, negative):
    total = positive + negative
    found = entropy_bits(torch.tensor(float(positive)).double(), torch.tensor(float(total)).double())
    assert float(found) == pytest.approx(bits(positive, total), abs=1e-6)


@given(st.integers(1, 300), st.integers(0, 300))
def test_log2_choose_is_the_formula(n, k):
    expected = pytest.approx(log2(comb(n, k)), abs=1e-8) if k <= n else inf
    assert log2_choose(n, k) == expected


def judge_by_loop(literals, target, weight, members):
    """Return error, saving, uneven saving, weight of the rarest cell and table, example by example."""
    cells = [[0.0, 0.0] for _ in range(2 ** len(members))]  # negative and positive weight
    for i in range(literals.shape[1]):
        cell = int("".join(str(int(literals[m, i])) for m in members), 2)
        cells[cell][int(target[i] > 0)] += float(weight[i])
    total, positive = sum(map(sum, cells)), sum(cell[1] for cell in cells)
    wrong = sum(min(cell) for cell in cells)
    code = log2(comb(len(literals), len(members))) + len(cells)
    saved = bits(positive, total) - code
    even = bits(wrong, total) + log2(total + 1) / 2
    uneven = sum(bits(min(cell), sum(cell)) + log2(sum(cell) + 1) / 2 for cell in cells)
    if wrong == 0:
        even = uneven = 0.0
    table = [cell[1] > cell[0] for cell in cells]
    return wrong / total, saved - even, saved - uneven, min(map(sum, cells)), table, code


@pytest.mark.parametrize("weighting", ["full", "partial", "weighted"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_verdicts_are_those_of_a_loop_over_the_examples(size, weighting):
    literals, targets = draw()
    rng = np.random.default_rng(1)
    weights = {
        "full": np.ones(targets.shape),
        "partial": rng.binomial(1, 0.5, size=targets.shape).astype(float),
        "weighted": rng.exponential(size=targets.shape),
    }[weighting]
    labels = torch.tensor([0, 1, 2, 0, 2])
    sets = torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 5], [3, 4, 5], [0, 2, 4]])[:, :size]
    verdicts = judge(make_examples(literals, targets, weights), labels, sets)
    for i, (label, members) in enumerate(zip(labels.tolist(), sets.tolist(), strict=True)):
        error, saving, uneven, rarest, table, code = judge_by_loop(
            literals, targets[:, label], weights[:, label], members
        )
        assert float(verdicts.error[i]) == pytest.approx(error, abs=1e-12)
        assert float(verdicts.saving[i]) == pytest.approx(saving, abs=1e-6)
        assert float(verdicts.uneven_saving[i]) == pytest.approx(uneven, abs=1e-6)
        assert float(verdicts.least_seen[i]) == pytest.approx(rarest)
        assert verdicts.table[i].tolist() == table
        assert verdicts.bits == pytest.approx(code)


def test_weight_two_is_the_row_twice():
    literals, targets = draw()
    times = np.random.default_rng(2).integers(0, 3, size=len(targets))
    weights = np.repeat(times[:, None].astype(float), 3, axis=1)
    weighted = make_examples(literals, targets, weights)
    repeated = make_examples(np.repeat(literals, times, axis=1), np.repeat(targets, times, axis=0))
    labels, sets = torch.tensor([0, 1, 2]), torch.tensor([[0, 1], [1, 2], [2, 3]])
    torch.testing.assert_close(weighted.prior_bits, repeated.prior_bits)
    one, other = judge(weighted, labels, sets), judge(repeated, labels, sets)
    for name in ("error", "saving", "uneven_saving", "least_seen", "table"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))


def test_more_labels_must_save_more():
    def least(n_labels):
        # A constant label has no bits to save: what is missing is what must be saved.
        examples = make_examples(np.zeros((1, 5), dtype=bool), np.ones((5, n_labels)))
        return -float(examples.longest_code(torch.tensor([0]), 2, SIGNIFICANT))

    assert least(1) == CONFIDENCE_BITS
    assert least(64) == pytest.approx(CONFIDENCE_BITS + 6)


def test_an_input_in_a_gate_must_be_borne_out_by_more_examples_than_a_label():
    n, n_positive = 400, 60
    examples = make_examples(np.zeros((5, n), dtype=bool), np.where(np.arange(n) < n_positive, 1.0, -1.0)[:, None])

    def longest(n_literals, reads_input, share):
        return float(examples.longest_code(torch.tensor([0]), n_literals, share, torch.tensor(reads_input)))

    significant = bits(n_positive, n) - CONFIDENCE_BITS
    assert longest(2, False, SURE) == longest(2, True, SIGNIFICANT) == pytest.approx(significant)
    # An error bound of (bits + confidence) ln 2 / n, at most half of n_positive / n.
    assert longest(2, True, SURE) == pytest.approx(n_positive / 2 / np.log(2) - CONFIDENCE_BITS)
    assert longest(3, True, LIKELY) == longest(3, False, LIKELY) == pytest.approx(60 / 4 / np.log(2) - CONFIDENCE_BITS)


def test_errors_spread_evenly_look_like_noise_and_others_do_not():
    rng = np.random.default_rng(0)
    literals = rng.random((3, 4000)) < 0.5
    clean = np.where(literals[0] & literals[1], 1.0, -1.0)
    noisy = np.where(rng.random(4000) < 0.1, -clean, clean)
    missing = np.where(literals[2], clean, np.where(literals[0], 1.0, -1.0))  # in some cells the third decides
    verdicts = judge(
        make_examples(literals, np.stack([noisy, missing], axis=1)), torch.tensor([0, 1]), torch.tensor([[0, 1]] * 2)
    )
    assert verdicts.saving[0] > verdicts.uneven_saving[0]
    assert verdicts.saving[1] < verdicts.uneven_saving[1]


@given(st.integers(1, 4), st.data())
def test_table_gate_is_a_look_up(size, data):
    table = data.draw(st.lists(st.booleans(), min_size=2**size, max_size=2**size))
    gate = Gate(tuple(range(10, 10 + size)), 0.0, 0.0, torch.tensor(table))
    own = [[bool(i >> (size - 1 - k) & 1) for i in range(2**size)] for k in range(size)]
    assert gate(torch.tensor(own)).tolist() == table


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=6), st.integers(-6, 6))
def test_threshold_gate_is_the_sign_of_the_sum(weights, constant):
    gate = Gate(tuple(range(len(weights))), 0.0, 0.0, weights=tuple(map(float, weights)), constant=constant + 0.5)
    rows = np.random.default_rng(0).random((len(weights), 50)) < 0.5
    expected = [
        sum(w if row else -w for w, row in zip(weights, column, strict=True)) + constant + 0.5 > 0 for column in rows.T
    ]
    assert gate(torch.as_tensor(rows)).tolist() == expected
