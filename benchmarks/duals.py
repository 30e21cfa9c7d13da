"""How much faster labels that few rows annotate are fitted by their duals: python -m benchmarks.duals.

The same readouts, of random features of random inputs, once from duals and once by conjugate gradients alone, one after
the other, for tables of some sizes and annotations that are missing at random; the least seconds of three turns.
"chosen" is what `rungwise.fitting.dual.is_worth_while` says: it should be yes where the ratio is above 1.
"""

import argparse
import time
from itertools import pairwise
from unittest import mock

import torch
from rich.console import Console
from rich.table import Table

from rungwise.features import RandomFeatures
from rungwise.fitting import dual
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import fit_readout

ROWS, QUICK_ROWS = (300, 700, 1500, 4000), (60,)
MISSING = (0.3, 0.5, 0.7, 0.9)
N_INPUTS, N_LABELS, N_UNITS, N_FOLDS, N_TURNS = 30, 14, 512, 5, 3


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small table")
    options = parser.parse_args(arguments)
    table = Table("rows", "missing", "by duals, s", "without, s", "ratio", "chosen")
    for n_rows in QUICK_ROWS if options.quick else ROWS:
        for missing in MISSING:
            objective = make_objective(n_rows, missing)
            turns = [(seconds(objective, True), seconds(objective, False)) for _ in range(N_TURNS)]
            by_duals, without = map(min, zip(*turns, strict=True))
            chosen = "yes" if dual.is_worth_while(objective) else "no"
            cells = (f"{by_duals:.2f}", f"{without:.2f}", f"{without / by_duals:.2f}", chosen)
            table.add_row(f"{n_rows:,}", f"{missing:.0%}", *cells)
    Console().print(table)


def make_objective(n_rows: int, missing: float) -> Objective:
    """Return readouts of labels that are noisy products of two inputs, annotated in part."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(n_rows, N_INPUTS, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_rows, N_LABELS, generator=generator, dtype=torch.float64)
    targets = (inputs[:, :N_LABELS] * inputs[:, 1 : N_LABELS + 1] + noise).sign()
    weights = (torch.rand(n_rows, N_LABELS, generator=generator) >= missing).to(targets)
    hidden = RandomFeatures(width=N_UNITS).fit(inputs, generator)(inputs)
    return Objective(SquaredLoss(), hidden, targets, weights, torch.zeros_like(targets))


@torch.no_grad()
def seconds(objective: Objective, by_duals: bool) -> float:
    """Return how long the readouts take, with or without duals."""
    n_rows = len(objective.targets)
    ends = [round(n_rows * fold / N_FOLDS) for fold in range(N_FOLDS + 1)]
    folds = [slice(start, end) for start, end in pairwise(ends)]
    with mock.patch.object(dual, "is_worth_while", return_value=by_duals):
        began = time.perf_counter()
        fit_readout(objective, folds)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
