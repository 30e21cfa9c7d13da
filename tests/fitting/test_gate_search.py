"""The search settles the labels that are gates, with the right values on unseen rows, and believes nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rungwise.datasets import make_hierarchy
from rungwise.fitting.gate_search import GateSearch, GateSettings
from rungwise.theory.boolean import hypercube, look_up

TRUTH_TABLES = {
    "and": lambda x: x.min(1),
    "or": lambda x: x.max(1),
    "exclusive or": lambda x: -x[:, 0] * x[:, 1],
    "majority": lambda x: np.sign(x[:, :3].sum(1)),
    "multiplexer": lambda x: np.where(x[:, 0] > 0, x[:, 1], x[:, 2]),
    "exactly one": lambda x: np.where((x[:, :3] > 0).sum(1) == 1, 1, -1),
    "parity": lambda x: x[:, 0] * x[:, 1] * x[:, 2],
    "copy": lambda x: x[:, 0],
    "complement": lambda x: -x[:, 0],
}
FAN_IN = {"and": 2, "or": 2, "exclusive or": 2, "copy": 1, "complement": 1}


def random_bits(n, d, seed=0, share=0.5):
    return np.where(np.random.default_rng(seed).random((n, d)) < share, 1.0, -1.0)


class Climb:
    """All rungs of a search, and what their gates say about other rows."""

    def __init__(self, x, targets, weights=None, seed=0, **options):
        weights = np.ones(targets.shape) if weights is None else weights
        inputs, targets, weights = (torch.as_tensor(np.asarray(array, float)) for array in (x, targets, weights))
        generator = torch.Generator().manual_seed(seed)
        self.search = GateSearch(
            inputs[:, None], targets, weights, lambda v: v[:, None], GateSettings(**options), generator
        )
        self.rungs = []
        while (rung := self.search.next_rung()) is not None:
            self.rungs.append(rung)
        self.gates = {label: gate for rung in self.rungs for label, gate in rung.gates.items()}
        self.values = {label: values for rung in self.rungs for label, values in rung.values.items()}
        self.settled = set(self.gates)

    def __call__(self, x):
        """Return the settled labels, ±1, of new rows; 0 for the others."""
        stream = np.hstack([x, np.zeros((len(x), self.search.n_labels))])
        for rung in self.rungs:
            for label, gate in rung.gates.items():
                literals = list(gate.literals)
                entry, threshold = self.search.entry[literals].numpy(), self.search.threshold[literals].numpy()
                own = torch.as_tensor((stream[:, entry] > threshold).T)
                stream[:, x.shape[1] + label] = np.where(gate(own).numpy(), 1, -1)
        return stream[:, x.shape[1] :]

    def parents(self, label):
        return set(self.search.entry[list(self.gates[label].literals)].tolist())


@pytest.mark.parametrize("name", TRUTH_TABLES)
@pytest.mark.parametrize("seed", range(3))
def test_planted_gate_is_settled(name, seed):
    parents = np.random.default_rng(seed).permutation(20)[: FAN_IN.get(name, 3)]
    truth = TRUTH_TABLES[name]
    x = random_bits(400, 20, seed)
    climb = Climb(x, truth(x[:, parents])[:, None], seed=seed)
    assert climb.settled == {0}
    assert climb.parents(0) == set(parents.tolist())
    assert climb.gates[0].error == 0
    fresh = random_bits(1000, 20, seed + 100)
    np.testing.assert_array_equal(climb(fresh)[:, 0], truth(fresh[:, parents]))
    np.testing.assert_array_equal(np.where(climb.values[0], 1, -1), truth(x[:, parents]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([-1, 1]), min_size=8, max_size=8), st.integers(0, 1000))
def test_any_table_of_three_bits_is_settled_unless_it_is_constant(table, seed):
    parents = np.random.default_rng(seed).permutation(8)[:3]
    x = random_bits(400, 8, seed)
    climb = Climb(x, look_up(table, x[:, parents])[:, None], seed=seed)
    if len(set(table)) == 1:
        assert climb.settled == set()
    else:
        cube = hypercube(8).astype(float)
        np.testing.assert_array_equal(climb(cube)[:, 0], look_up(table, cube[:, parents]))
        assert climb.parents(0) <= set(parents.tolist())


@pytest.mark.parametrize("width", [5, 7, 9])
@pytest.mark.parametrize("kind", ["and", "or", "nand", "nor"])
def test_wide_conjunction_is_settled(width, kind):
    rng = np.random.default_rng(width)
    parents, signs = rng.permutation(20)[:width], rng.choice([-1, 1], size=width)

    def truth(x):
        asked = x[:, parents] * signs
        values = asked.min(1) if kind in ("and", "nand") else asked.max(1)
        return values if kind in ("and", "or") else -values

    # Each literal has the value that matters three times out of four, so that the rare outcome is seen often enough.
    likely = np.full(20, 0.5)
    likely[parents] = np.where(signs * (1 if kind in ("and", "nand") else -1) > 0, 0.75, 0.25)
    x, fresh = (random_bits(n, 20, seed, likely) for n, seed in ((1000, 1), (3000, 2)))
    climb = Climb(x, truth(x)[:, None])
    assert climb.settled == {0}
    assert climb.parents(0) == set(parents.tolist())
    np.testing.assert_array_equal(climb(fresh)[:, 0], truth(fresh))


@pytest.mark.parametrize("weights", [(1, 1, 1, 1, 1), (2, 1, 1, 1), (3, 2, 2, 1, 1), (-1, 1, 1, -1, 1), (2, -1, 1, 1)])
def test_weighted_threshold_is_settled(weights):
    def truth(x):
        return np.where(x[:, : len(weights)] @ weights + (sum(weights) % 2 == 0) > 0, 1, -1)

    x, fresh = random_bits(2000, 15), random_bits(3000, 15, 1)
    climb = Climb(x, truth(x)[:, None])
    assert climb.settled == {0}
    np.testing.assert_array_equal(climb(fresh)[:, 0], truth(fresh))


def test_gates_of_four_bits_are_settled_if_asked_for():
    table = np.random.default_rng(3).choice([-1, 1], size=16)
    x, fresh = random_bits(1500, 10), random_bits(1000, 10, 1)
    climb = Climb(x, look_up(table, x[:, 2:6])[:, None], fan_in=4)
    np.testing.assert_array_equal(climb(fresh)[:, 0], look_up(table, fresh[:, 2:6]))


@pytest.mark.parametrize("fan_in", [1, 2])
def test_gate_of_more_bits_than_asked_for_is_left(fan_in):
    x = random_bits(500, 8)
    targets = np.stack([x[:, 0] * x[:, 1] * x[:, 2], -x[:, 3] * x[:, 4], x[:, 5]], axis=1)
    assert Climb(x, targets, fan_in=fan_in).settled == ({2} if fan_in == 1 else {1, 2})


@pytest.mark.parametrize("seed", range(4))
def test_measurements_are_cut_where_their_few_values_allow(seed):
    rng = np.random.default_rng(seed)
    x, fresh = (rng.integers(0, 12, size=(n, 10)) / 7 for n in (800, 2000))

    def truth(x):
        return np.where((x[:, 3] > 5.5 / 7) & (x[:, 7] <= 8.5 / 7), 1, -1)

    climb = Climb(x, truth(x)[:, None])
    assert climb.settled == {0}
    assert climb.parents(0) == {3, 7}
    np.testing.assert_array_equal(climb(fresh)[:, 0], truth(fresh))


@pytest.mark.parametrize("seed", range(4))
def test_measurements_are_cut_at_quantiles(seed):
    rng = np.random.default_rng(seed)
    x, fresh = rng.normal(size=(2000, 10)), rng.normal(size=(4000, 10))
    t, s = (np.sort(column)[int(q * 2000)] for column, q in ((x[:, 3], 0.25), (x[:, 7], 0.75)))

    def truth(x):
        return np.where((x[:, 3] > t) & (x[:, 7] <= s), 1, -1)

    climb = Climb(x, truth(x)[:, None])
    assert climb.settled == {0}
    assert climb.parents(0) == {3, 7}
    # The quantile of a sample is one of its values, and not the one between two that the label has.
    assert (climb(fresh)[:, 0] != truth(fresh)).mean() < 0.005


def test_weight_two_is_the_row_twice():
    x = random_bits(300, 8)
    targets = np.stack([np.sign(x[:, :3].sum(1)), -x[:, 3] * x[:, 4]], axis=1)
    times = np.random.default_rng(0).integers(0, 3, size=300)
    weighted = Climb(x, targets, np.repeat(times[:, None], 2, axis=1))
    repeated = Climb(np.repeat(x, times, axis=0), np.repeat(targets, times, axis=0))
    assert weighted.settled == repeated.settled == {0, 1}
    assert [weighted.parents(label) for label in (0, 1)] == [repeated.parents(label) for label in (0, 1)]


def hierarchy(n, seed, n_inputs=15, n_levels=4, n_labels_per_level=8):
    X, Y, model = make_hierarchy(
        n, n_inputs=n_inputs, n_levels=n_levels, n_labels_per_level=n_labels_per_level, random_state=seed
    )
    return X.astype(float), 2.0 * Y - 1, model


@pytest.mark.parametrize("seed", range(4))
def test_hierarchy_is_climbed_rung_by_rung(seed):
    x, targets, model = hierarchy(1000, seed)
    climb = Climb(x, targets, seed=seed)
    fresh = random_bits(2000, 15, seed)
    assert climb.settled == set(range(32))
    np.testing.assert_array_equal(climb(fresh), model(fresh))
    for block, rung in enumerate(climb.rungs, start=1):
        assert (model.level[list(rung.gates)] >= block).all()  # what is above cannot come before


@pytest.mark.parametrize("seed", range(4))
def test_hierarchy_with_five_percent_of_the_labels_flipped_is_climbed(seed):
    x, targets, model = hierarchy(4000, seed)
    flipped = np.random.default_rng(seed).random(targets.shape) < 0.05
    climb = Climb(x, np.where(flipped, -targets, targets), seed=seed)
    fresh = random_bits(2000, 15, seed)
    settled = sorted(climb.settled)
    assert len(settled) >= 31
    np.testing.assert_array_equal(climb(fresh)[:, settled], model(fresh)[:, settled])
    assert all(0.03 < climb.gates[label].error < 0.07 for label in settled)


@pytest.mark.parametrize("seed", range(4))
def test_hierarchy_with_half_of_the_annotations_is_climbed(seed):
    x, targets, model = hierarchy(2000, seed)
    annotated = np.random.default_rng(seed).random(targets.shape) < 0.5
    climb = Climb(x, np.where(annotated, targets, 0.0), annotated, seed=seed)
    fresh = random_bits(2000, 15, seed)
    assert climb.settled == set(range(32))
    np.testing.assert_array_equal(climb(fresh), model(fresh))


@pytest.mark.parametrize("n", [20, 100, 1000])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_nothing_is_believed_of_random_labels(n, share):
    for seed in range(8):
        rng = np.random.default_rng([seed, n])
        x = random_bits(n, 15, seed)
        targets = np.where(rng.random((n, 12)) < share, 1.0, -1.0)
        assert Climb(x, targets, seed=seed).settled == set()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_believed_of_random_labels_on_measurements(seed):
    rng = np.random.default_rng(seed)
    x, targets = rng.normal(size=(300, 8)), rng.choice([-1.0, 1.0], size=(300, 10))
    annotated = rng.random(targets.shape) < 0.3
    assert Climb(x, targets, annotated, seed=seed).settled == set()


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_no_stand_in_is_settled_when_the_true_parents_come_later(noise):
    # The label is the majority of three parities, of which one comes two rungs later than the others. Until then the
    # other two explain it but for the rows on which they disagree.
    x, fresh = random_bits(3000, 12), random_bits(2000, 12, 1)

    def truth(x):
        first, second = x[:, 0] * x[:, 1], x[:, 2] * x[:, 3]
        low, middle = x[:, 4] * x[:, 5], x[:, 4] * x[:, 5] * x[:, 6] * x[:, 7]
        late = middle * x[:, 8] * x[:, 9]
        label = np.sign(first + second + late)
        return np.stack([label, late, first, middle, second, low], axis=1)

    targets = truth(x)
    targets = np.where(np.random.default_rng(0).random(targets.shape) < noise, -targets, targets)
    climb = Climb(x, targets)
    assert climb.settled == set(range(6))
    assert climb.parents(0) == {12 + 1, 12 + 2, 12 + 4}
    np.testing.assert_array_equal(climb(fresh), truth(fresh))


def test_label_with_a_hidden_parent_is_left():
    # It agrees with either known parent on three rows of four, but some cells are wrong more often than others.
    x = random_bits(2000, 11)
    assert Climb(x[:, :10], np.sign(x[:, [0, 1, 10]].sum(1))[:, None]).settled == set()


@pytest.mark.parametrize("seed", range(3))
def test_order_of_labels_and_rows_does_not_matter_to_what_is_settled(seed):
    x, targets, _ = hierarchy(1500, seed, n_levels=3)
    rng = np.random.default_rng(seed)
    noise = rng.choice([-1.0, 1.0], size=(1500, 4))
    targets = np.hstack([targets, noise])
    expected = Climb(x, targets)
    assert expected.settled == set(range(24))
    order = rng.permutation(28)
    by_label = Climb(x, targets[:, order])
    assert {int(order[label]) for label in by_label.settled} == expected.settled
    rows = rng.permutation(1500)
    assert Climb(x[rows], targets[rows]).settled == expected.settled


def test_inputs_in_another_order_settle_the_same():
    x, targets, model = hierarchy(800, 0, n_levels=3)
    order = np.random.default_rng(0).permutation(15)
    fresh = random_bits(1000, 15, 3)
    np.testing.assert_array_equal(Climb(x[:, order], targets)(fresh[:, order]), model(fresh))


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_constant_label_is_never_settled(value):
    x = random_bits(300, 6)
    climb = Climb(x, np.stack([np.full(300, value), x[:, 0] * x[:, 1]], axis=1))
    assert climb.settled == {1}


@pytest.mark.parametrize("n_rare", [0, 5])
def test_pairs_are_not_screened_for_labels_too_rare_to_pay_for_one(n_rare):
    x = random_bits(300, 6)
    rare = -np.ones((300, n_rare))
    # Two positives save 300 H(2/300) = 17 bits, and a gate must save 10 beyond its code.
    rare[:2] = 1
    common = (x[:, 0] * x[:, 1])[:, None]
    search = Climb(x, np.hstack([rare, common])).search
    alone = Climb(x, common).search
    assert search.screen.operations == alone.screen.operations > 0
    assert Climb(x, rare).search.screen.operations == 0


@pytest.mark.parametrize("n_inputs", [0, 3])
def test_without_informative_inputs_there_is_nothing_to_search(n_inputs):
    assert Climb(np.ones((50, n_inputs)), random_bits(50, 2)).rungs == []


def test_copies_of_an_input_do_not_keep_a_label_from_being_settled():
    x = random_bits(400, 6)
    x = np.hstack([x, x, -x])
    climb = Climb(x, np.sign(x[:, :3].sum(1))[:, None])
    assert climb.settled == {0}
    np.testing.assert_array_equal(np.where(climb.values[0], 1, -1), np.sign(x[:, :3].sum(1)))


def test_copies_of_labels_are_settled_together():
    x = random_bits(400, 6)
    parity = x[:, 0] * x[:, 1]
    climb = Climb(x, np.stack([parity, -parity, parity], axis=1))
    assert climb.settled == {0, 1, 2}
    assert len(climb.rungs) == 1


def test_settled_labels_are_not_settled_again():
    x, targets, _ = hierarchy(800, 1, n_levels=3)
    climb = Climb(x, targets)
    labels = [label for rung in climb.rungs for label in rung.gates]
    assert len(labels) == len(set(labels)) == 24
    assert not climb.search.open.any()
    assert climb.search.next_rung() is None


def test_positions_seen_are_inputs_too():
    # Each row sees itself and its neighbours on a ring of 16.
    ring = random_bits(40, 16)
    seen = np.stack([np.roll(ring, shift, axis=1).ravel() for shift in (1, 0, -1)], axis=1)
    first = seen[:, 0] * seen[:, 2]  # exclusive nor of the neighbours, then once again
    second = (np.roll(first.reshape(40, 16), 1, axis=1) * np.roll(first.reshape(40, 16), -1, axis=1)).ravel()

    def spread(values):
        rings = values.reshape(40, 16, -1)
        return torch.stack([rings.roll(1, 1), rings, rings.roll(-1, 1)], dim=2).flatten(0, 1)

    targets = torch.as_tensor(np.stack([second, first], axis=1))
    search = GateSearch(
        torch.as_tensor(seen)[:, :, None],
        targets,
        torch.ones_like(targets),
        spread,
        GateSettings(),
        torch.Generator().manual_seed(0),
    )
    rungs = []
    while (rung := search.next_rung()) is not None:
        rungs.append(rung)
    assert [sorted(rung.gates) for rung in rungs] == [[1], [0]]
    # Streams of the three positions side by side, each (input, label 0, label 1).
    assert sorted(search.entry[list(rungs[0].gates[1].literals)].tolist()) == [0, 6]
    assert sorted(search.entry[list(rungs[1].gates[0].literals)].tolist()) == [2, 8]


@pytest.mark.parametrize("name", ["fan_in", "n_thresholds"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_unusable_setting_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, however: {name}={value!r}"):
        GateSettings(**{name: value})


def test_negative_number_of_quantiles_is_refused():
    with pytest.raises(ValueError, match="n_quantiles must be a whole number of at least 0, however: n_quantiles=-1"):
        GateSettings(n_quantiles=-1)


@pytest.mark.parametrize("n_measurements", [0, 1, 2])
def test_without_quantiles_gates_read_inputs_of_few_values_only(n_measurements):
    values = torch.randn(300, n_measurements, generator=torch.Generator().manual_seed(0)).sort(dim=0).values
    bits = torch.randint(0, 2, (300, 2), generator=torch.Generator().manual_seed(1)).float()
    # The first label is a bit; the other is whether a measurement exceeds its median.
    signs = torch.where(torch.stack([bits[:, 0] > 0, torch.arange(300) >= 150], dim=1), 1.0, -1.0)
    inputs = torch.cat([bits, values], dim=1)[:, None]
    settings, generator = GateSettings(n_quantiles=0), torch.Generator().manual_seed(2)
    search = GateSearch(inputs, signs, torch.ones_like(signs), lambda own: own[:, None], settings, generator)
    rung = search.next_rung()
    assert rung is not None
    assert list(rung.gates) == [0]
    assert search.next_rung() is None
