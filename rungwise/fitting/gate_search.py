"""The climb: which labels are gates of the inputs and of labels that are settled already, one rung after another.

Each call of `GateSearch.next_rung` looks for explanations by one, two or three literals and by wide conjunctions. Only
if there is none for any label does it look harder: at weaker starts and wide thresholds, and then at explanations that
leave noise or are not likely to hold on new examples. Labels that it explains are settled: their values become literals
for the next rung.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rungwise._validation import check_whole
from rungwise.features.literals import literal_thresholds
from rungwise.features.screening import Beam, Screen
from rungwise.fitting.gates import LIKELY, SIGNIFICANT, SURE, Examples, Gate, judge
from rungwise.fitting.wide_gates import find_conjunctions, find_thresholds

# Sets kept for each label. The pairs inside a gate of three literals are among the best, not always the best.
_BEAM = 16
# Extended at first: the best few pairs that explain a fifth. (Of the functions of three bits with a pair that tells
# anything, the worst, exactly-one-of-three, has one that explains a fifth.)
_FEW, _QUICK_SCORE, _LEAST_SCORE = 4, 0.2, 0.02
# A set that explains a label without fault has R² = 1; the margin is for labels that are annotated in part, whose R² is
# estimated from the moments of all rows.
_FAULTLESS_SCORE = 0.9
# So many of the best sets of a size are judged for noise.
_NOISY_SETS = 4
# Labels that are flipped more often are left to soft estimates: a stand-in that is correlated with the true parent
# leaves errors that look like noise, too. For the same reason the least noisy labels are settled first.
_MAX_NOISE, _NOISE_FACTOR = 0.25, 2.0
# Rows that screening looks at. It ranks candidates; verdicts are passed on all rows. log2 of all (pair, label) is about
# 33 for 2,400 labels, and 512 bits tell so many apart many times over.
_MAX_ROWS, _MIN_ROWS, _MAX_OPERATIONS = 1024, 512, 2e12
# Parities of three are tried while there are at most so many (set, label), which takes a second or two. Forming the
# products of a set costs as much as scoring it for so many labels.
_MAX_PARITIES, _COST_OF_SET = 2e8, 64
# Of more input literals, those that say most about some label alone are kept.
_MAX_INPUT_LITERALS = 4096


@dataclass(frozen=True)
class GateSettings:
    """What gates are looked for.

    Parameters
    ----------
    fan_in : int, at least 1
        Most literals of a truth table. Conjunctions and thresholds may have more.
    n_thresholds : int, at least 1
        Most thresholds of an input if they lie between all its values.
    n_quantiles : int, at least 0
        Thresholds of an input that has more values; 0 if no gate shall read it.
    """

    fan_in: int = 3
    n_thresholds: int = 15
    n_quantiles: int = 15

    def __post_init__(self) -> None:
        for name, least in (("fan_in", 1), ("n_thresholds", 1), ("n_quantiles", 0)):
            check_whole(name, getattr(self, name), least)


@dataclass(frozen=True)
class Rung:
    """The gates that one call found.

    Attributes
    ----------
    gates : dict of int to Gate
        For every label that is explained. Its literals are indices into `GateSearch.entry` and `threshold`.
    values : dict of int to Tensor
        What each gate gives for the training rows, (n,) bool.
    """

    gates: dict[int, Gate]
    values: dict[int, Tensor]


class GateSearch:
    """The search and what it has settled so far; it runs on the CPU.

    Parameters
    ----------
    inputs : Tensor of shape (n, w, n_inputs)
        The inputs at the positions seen from each row; w = 1 without positions.
    targets : Tensor of shape (n, n_labels)
        ±1, any value where the weight is 0.
    weights : Tensor of shape (n, n_labels)
    spread : callable
        Maps values of one label, (n, 1), to the positions seen from each row, (n, w, 1).
    settings : GateSettings
    generator : torch.Generator
        Chooses the rows that screening looks at.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        weights: Tensor,
        spread: Callable[[Tensor], Tensor],
        settings: GateSettings,
        generator: torch.Generator,
    ) -> None:
        n, self.size, self.n_inputs = inputs.shape
        self.n_labels = targets.shape[1]
        self.spread = spread
        self.fan_in = settings.fan_in
        entry, threshold, values = _input_literals(inputs, settings, weights.mean(1), self.n_labels)
        room = min(len(entry), _MAX_INPUT_LITERALS) + self.size * self.n_labels
        operations = room**2 * self.n_labels / 3
        n_rows = min(n, max(_MIN_ROWS, min(_MAX_ROWS, int(_MAX_OPERATIONS / 2 / max(1.0, operations)))))
        self.rows = torch.randperm(n, generator=generator)[:n_rows].sort().values if n_rows < n else torch.arange(n)
        self.screen = Screen(targets[self.rows].float(), weights[self.rows].float(), room)
        self.examples = Examples(targets, weights, room)
        self.entry = torch.empty(0, dtype=torch.long)
        self.threshold = torch.empty(0, dtype=inputs.dtype)
        self.beams = [Beam.empty(self.n_labels, _BEAM, size) for size in range(2, max(2, self.fan_in) + 1)]
        self.open = torch.ones(self.n_labels, dtype=torch.bool)
        # Of the labels that were open when a rung was last looked for in earnest.
        self._thresholds: dict[int, Gate] = {}
        self._refused = torch.zeros(self.n_labels, dtype=torch.bool)
        self._parities_from = 0
        if len(entry) > _MAX_INPUT_LITERALS:
            signs = torch.where(values[:, self.rows], 1.0, -1.0)
            signs -= signs.mean(1, keepdim=True)
            size = (signs @ self.screen.gradients).abs() / signs.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
            best = size.amax(1).topk(_MAX_INPUT_LITERALS).indices.sort().values
            entry, threshold, values = entry[best], threshold[best], values[best]
        self._add(entry, threshold, values)

    def next_rung(self, refuse: Callable[[Rung], set[int]] = lambda rung: set()) -> Rung | None:
        """Return gates for labels that are not settled yet, and settle them; None if there are none to be found.

        Parameters
        ----------
        refuse : callable
            Is asked about every rung of gates that leave noise or are not likely, and returns the labels that have
            something better. For these no more such gates are offered.
        """
        labels = self.open.nonzero()[:, 0]
        if len(labels) == 0 or self.screen.n_literals == 0:
            return None
        found = _Found(self.examples)
        first_new = self.screen.n_screened
        if self.fan_in > 1:
            # The other labels could not pay for the code of a table of two literals or more, which only gets longer.
            pays = self.examples.longest_code(labels, 2, SIGNIFICANT) >= self.examples.table_bits(2)
            self.screen.screen_pairs(labels[pays], self.beams[0])
        self._judge_faultless(found, labels, SURE)
        self._extend(found.missing(labels), first_new, _FEW, _QUICK_SCORE)
        for share in (SURE, LIKELY):
            if share == SURE or not found.gates:
                self._judge_faultless(found, found.missing(labels), share)
                left = found.missing(labels)
                found.add(find_conjunctions(self.screen, self.examples, self.rows, left, share))
        if not found.gates:
            self._look_harder(found, labels)
        if not found.gates:
            self._accept_doubtful(found, labels, refuse)
        if not found.gates and self._look_for_parities(found, labels):
            self._accept_doubtful(found, labels, refuse)
        return self._settle(found.gates) if found.gates else None

    def _judge_faultless(self, found: "_Found", labels: Tensor, share: float) -> None:
        """Judge the single literals and the sets in the beams that seem to leave no error."""
        found.share = share
        literal, position = (self.screen.correlations[:, labels].abs() > _FAULTLESS_SCORE**0.5).nonzero(as_tuple=True)
        found.judge(labels[position], literal[:, None])
        for beam in self.beams[: max(0, self.fan_in - 1)]:
            position, rank = (beam.scores[labels] > _FAULTLESS_SCORE).nonzero(as_tuple=True)
            found.judge(labels[position], beam.sets[labels[position], rank])

    def _extend(self, labels: Tensor, first_new: int, most: int, least_score: float) -> None:
        """Add a literal to the best sets of each label: any one to fresh sets, one that is new to the others."""
        for beam, larger in zip(self.beams, self.beams[1:], strict=False):
            good = beam.scores[labels, :most] > least_score
            fresh = beam.fresh[labels, :most] & good
            for chosen, first in ((fresh, 0), (good & ~fresh, first_new)):
                position, rank = chosen.nonzero(as_tuple=True)
                beam.fresh[labels[position], rank] = False
                self.screen.extend(labels[position], beam.sets[labels[position], rank], first, larger)

    def _look_harder(self, found: "_Found", labels: Tensor) -> None:
        """Extend every set in the beams, and try thresholds of many literals."""
        for beam in self.beams:
            beam.fresh[labels] = True
        self._extend(labels, 0, _BEAM, _LEAST_SCORE)
        self._judge_faultless(found, labels, LIKELY)
        self._thresholds = find_thresholds(self.screen, self.examples, found.missing(labels), SIGNIFICANT)
        found.add({label: gate for label, gate in self._thresholds.items() if self.examples.is_likely(label, gate)})

    def _look_for_parities(self, found: "_Found", labels: Tensor) -> bool:
        """Try parities of three literals, of which no smaller set says anything; return whether any were tried."""
        n_literals = self.screen.n_literals
        if self.fan_in < 3 or n_literals < 3:
            return False
        labels = labels[self.examples.longest_code(labels, 3, LIKELY) >= self.examples.table_bits(3)]
        n_sets = (n_literals**3 - self._parities_from**3) / 6
        if len(labels) == 0 or n_sets * (_COST_OF_SET + len(labels)) > _MAX_PARITIES:
            return False
        self.screen.screen_parities(labels, self._parities_from, self.beams[1])
        self._parities_from = n_literals
        self._judge_faultless(found, labels, LIKELY)
        return True

    def _accept_doubtful(self, found: "_Found", labels: Tensor, refuse: Callable[[Rung], set[int]]) -> None:
        """Take gates that leave noise or are not likely, those of the fewest expected errors, if nothing is better."""
        while not found.gates:
            labels = labels[~self._refused[labels]]
            doubtful = _Found(self.examples, _MAX_NOISE, SIGNIFICANT)
            doubtful.judge(labels, self.screen.correlations[:, labels].abs().argmax(0)[:, None])
            for beam in self.beams[: max(0, self.fan_in - 1)]:
                position, rank = (beam.scores[labels, :_NOISY_SETS] > _LEAST_SCORE).nonzero(as_tuple=True)
                doubtful.judge(labels[position], beam.sets[labels[position], rank])
            gates = doubtful.complete_gates()
            left = doubtful.missing(labels)
            gates |= find_conjunctions(self.screen, self.examples, self.rows, left, SIGNIFICANT)
            gates |= {label: self._thresholds[label] for label in left.tolist() if label in self._thresholds}
            if not gates:
                return
            errors = {label: self.examples.expected_error(label, gate) for label, gate in gates.items()}
            most = _NOISE_FACTOR * min(errors.values())
            gates = {label: gate for label, gate in gates.items() if errors[label] <= most}
            refused = refuse(self._rung(gates))
            self._refused[list(refused)] = True
            found.add({label: gate for label, gate in gates.items() if label not in refused})

    def _rung(self, gates: dict[int, Gate]) -> Rung:
        return Rung(gates, {label: gate(self.examples.literals[list(gate.literals)]) for label, gate in gates.items()})

    def _settle(self, gates: dict[int, Gate]) -> Rung:
        rung = self._rung(gates)
        # What equals a literal, or its complement, needs no literal of its own.
        new = [label for label, gate in gates.items() if len(gate.literals) > 1]
        self.open[list(gates)] = False
        if new:
            spread = self.spread(torch.stack([rung.values[label] for label in new], dim=1).float())  # (n, w, n_new)
            entry = torch.tensor(new) + self.n_inputs + self._width * torch.arange(self.size)[:, None]
            self._add(entry.flatten(), torch.zeros(entry.numel()), spread.flatten(1).T > 0.5)
        return rung

    @property
    def _width(self) -> int:
        """Stream entries at one position."""
        return self.n_inputs + self.n_labels

    def _add(self, entry: Tensor, threshold: Tensor, values: Tensor) -> None:
        self.entry = torch.cat([self.entry, entry])
        self.threshold = torch.cat([self.threshold, threshold.to(self.threshold)])
        self.examples.add(values, entry % self._width < self.n_inputs)
        self.screen.add(torch.where(values[:, self.rows], 1.0, -1.0))


class _Found:
    """The best gate found for each label: the most saving, and of several the one whose rarest cell was seen most.

    Parameters
    ----------
    examples : Examples
    max_error : float
        Gates that leave more errors are not taken.
    share : float
        Whether gates have to be `SURE`, `LIKELY` or `SIGNIFICANT`.
    """

    def __init__(self, examples: Examples, max_error: float = 0.0, share: float = SURE) -> None:
        self.examples = examples
        self.max_error = max_error
        self.share = share
        self.gates: dict[int, Gate] = {}
        self._rank: dict[int, tuple[float, float]] = {}
        self._best_uneven: dict[int, float] = {}

    def missing(self, labels: Tensor) -> Tensor:
        """Return the labels without a gate."""
        return labels[[label not in self.gates for label in labels.tolist()]]

    def add(self, gates: dict[int, Gate]) -> None:
        """Take gates for labels that have none."""
        self.gates |= gates

    def complete_gates(self) -> dict[int, Gate]:
        """Return the gates that no table with uneven errors beats: nothing but noise is left."""
        return {label: gate for label, gate in self.gates.items() if self._rank[label][0] >= self._best_uneven[label]}

    def judge(self, labels: Tensor, sets: Tensor) -> None:
        """Judge sets, (n_sets, size), as truth tables for labels, (n_sets,)."""
        if len(labels) == 0:
            return
        verdicts = judge(self.examples, labels, sets)
        for label, saving in zip(labels.tolist(), verdicts.uneven_saving.tolist(), strict=True):
            self._best_uneven[label] = max(saving, self._best_uneven.get(label, saving))
        # The bits that noise costs count against significance, not as part of what could be wrong.
        noise = self.examples.prior_bits[labels] - verdicts.bits - verdicts.saving
        size, reads_input = sets.shape[1], self.examples.of_input[sets].any(1)
        longest = self.examples.longest_code(labels, size, self.share, reads_input)
        significant = verdicts.bits + noise <= self.examples.longest_code(labels, size, SIGNIFICANT)
        good = (verdicts.error <= self.max_error) & (verdicts.bits <= longest) & significant
        for i in good.nonzero()[:, 0].tolist():
            label, rank = int(labels[i]), (float(verdicts.saving[i]), float(verdicts.least_seen[i]))
            if label not in self._rank or rank > self._rank[label]:
                self._rank[label] = rank
                self.gates[label] = Gate(
                    tuple(sets[i].tolist()), float(verdicts.error[i]), verdicts.bits, verdicts.table[i]
                )


def _input_literals(
    inputs: Tensor, settings: GateSettings, weights: Tensor, n_labels: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return entry, threshold and values, (n_literals, n) bool, of the literals of inputs (n, w, n_inputs)."""
    n, size, n_inputs = inputs.shape
    entries, thresholds, values = [], [], []
    weights = weights.repeat_interleave(size)
    for i in range(n_inputs):
        cuts = literal_thresholds(inputs[:, :, i].flatten(), settings.n_thresholds, weights, settings.n_quantiles)
        for seen in range(size):
            entries.append(torch.full((len(cuts),), i + seen * (n_inputs + n_labels)))
            thresholds.append(cuts)
            values.append(inputs[:, seen, i] > cuts[:, None])
    if not entries:
        return torch.empty(0, dtype=torch.long), inputs.new_empty(0), torch.empty(0, n, dtype=torch.bool)
    return torch.cat(entries), torch.cat(thresholds), torch.cat(values)
