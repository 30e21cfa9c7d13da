"""How near one exact block fit comes to the machine's matrix-product rate: python -m benchmarks.readout.

The operations that must be done (n rows, N stream entries, q units, L labels, K folds, P penalties):

    hidden units            2 n N q
    second moments          n (q + 1)²             symmetric: half of a full product
    right sides             2 n q L
    factors                 (K P + U) q³ / 3       U: different penalties chosen, for the fit on all rows
    solutions               (K P + U) 2 q² L
    honest updates          P 2 n q L              every row once for each penalty

The rate to compare with is that of a float32 product of two 4,096 x 4,096 matrices in the same run.
"""

import argparse
import time
from itertools import pairwise

import torch

from benchmarks._machine import matrix_product_rate
from rungwise.features import RandomFeatures
from rungwise.fitting.losses import SquaredLoss
from rungwise.fitting.objective import Objective
from rungwise.fitting.readout import PENALTIES, fit_readout


def operations(n: int, n_inputs: int, q: int, n_labels: int, n_folds: int, n_penalties: int, n_chosen: int) -> float:
    """Return the operations that one block fit must do, by the table above."""
    solves = n_folds * n_penalties + n_chosen
    return (
        2 * n * n_inputs * q
        + n * (q + 1) ** 2
        + 2 * n * q * n_labels
        + solves * (q**3 / 3 + 2 * q**2 * n_labels)
        + n_penalties * 2 * n * q * n_labels
    )


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--inputs", type=int, default=60)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--labels", type=int, default=240)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    n, n_labels, q, n_folds = arguments.rows, arguments.labels, arguments.width, arguments.folds

    generator = torch.Generator().manual_seed(0)
    stream = torch.randn(n, arguments.inputs + n_labels, generator=generator).sign()
    # Parities of two entries: learnable, so that the penalties chosen are not all the same.
    targets = stream[:, :n_labels] * stream[:, 1 : n_labels + 1]
    ends = [round(n * k / n_folds) for k in range(n_folds + 1)]
    folds = [slice(start, end) for start, end in pairwise(ends)]
    one_penalty = (1e-5,)
    print(f"{n:,} rows, {stream.shape[1]} stream entries, width {q:,}, {n_labels} labels, {n_folds} folds")
    for name, penalties in (("one penalty", one_penalty), ("the default penalties", PENALTIES)):
        finite = sum(p != float("inf") for p in penalties)
        for _ in range(arguments.repeats):
            rate = matrix_product_rate()
            began = time.perf_counter()
            layer = RandomFeatures(width=q).fit(stream, generator)
            objective = Objective(SquaredLoss(), layer(stream), targets, torch.ones_like(targets), targets * 0)
            readout = fit_readout(objective, folds, penalties)
            seconds = time.perf_counter() - began
            chosen = sum(p != float("inf") for p in readout.penalty.unique().tolist())
            needed = operations(n, stream.shape[1], q, n_labels, n_folds, finite, chosen)
            print(
                f"{name}: {needed / 1e9:,.0f} GFLOP in {seconds:.1f} s = {needed / seconds / 1e9:.0f} GFLOP/s, "
                f"{needed / seconds / rate:.0%} of the matrix-product rate, {rate / 1e9:.0f} GFLOP/s"
            )


if __name__ == "__main__":
    main()
