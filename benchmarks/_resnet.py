"""The end-to-end peer: the same residual stream, (x, f̂), but all blocks trained at once by AdamW.

f̂_k = f̂_{k-1} + W2_k relu(W1_k norm(x, f̂_{k-1}) + b_k),    logistic loss of the supervised labels at the end.
"""

import time
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._machine import matrix_product_rate
from benchmarks._problem import Answer, Answers, Problem, not_predicted, validation_rows

LEARNING_RATES = (3e-4, 1e-3, 3e-3)
WIDTH, QUICK_WIDTH, BATCH_ROWS = 768, 64, 256
MAX_BLOCKS = 32
# A learning rate is tried for a fifth of the budget, the best one is then trained for a whole budget more.
TRIAL_SHARE = 0.2
# Blocks are halved until a trial has time for so many epochs, at half of the machine's matrix-product rate.
TRIAL_EPOCHS = 20
# After so many epochs without improvement on the validation rows the learning rate falls to a third; so often.
PATIENCE, DROPS = 8, 3


class EndToEnd(nn.Module):
    """Residual blocks over (x, estimates), at each position those of its neighbours side by side."""

    def __init__(self, n_inputs: int, n_labels: int, n_blocks: int, width: int, index: Tensor | None) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.n_seen = 1 if index is None else index.shape[1]
        n_entries = self.n_seen * (n_inputs + n_labels)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(n_entries), nn.Linear(n_entries, width), nn.ReLU(), nn.Linear(width, n_labels))
            for _ in range(n_blocks)
        )
        for block in self.blocks:
            nn.init.normal_(block[3].weight, std=(width * n_blocks) ** -0.5)

    def forward(self, x: Tensor, index: Tensor | None) -> Tensor:
        """Return the estimates of the labels, from x of shape (n, n_inputs) or (n, n_positions, n_inputs)."""
        estimates = x.new_zeros(*x.shape[:-1], self.n_labels)
        for block in self.blocks:
            stream = torch.cat([x, estimates], dim=-1)
            if index is not None:
                stream = stream[:, index].flatten(-2)
            estimates = estimates + block(stream)
        return estimates


class Training:
    """One learning rate's network under training, and the best state that it has been in."""

    def __init__(self, problem: Problem, labels: np.ndarray, n_blocks: int, rate: float) -> None:
        torch.manual_seed(problem.seed)
        self.neighborhood = problem.neighborhood
        n_positions = problem.X.shape[1] if problem.X.ndim == 3 else 1
        self.index = self._index(n_positions)
        valid = torch.from_numpy(validation_rows(len(problem.X), problem.seed))
        x, y = torch.from_numpy(problem.X).float(), torch.from_numpy(problem.Y[..., labels]).float()
        self.x, self.y, self.x_valid, self.y_valid = x[~valid], y[~valid], x[valid], y[valid]
        width = _width(problem)
        self.network = EndToEnd(x.shape[-1], len(labels), n_blocks, width, self.index)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=rate, weight_decay=0.01)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.3, patience=PATIENCE)
        self.rate, self.n_blocks = rate, n_blocks
        self.batch = max(1, BATCH_ROWS // n_positions)
        self.generator = torch.Generator().manual_seed(problem.seed)
        self.best: tuple[float, float] = (float("inf"), float("inf"))
        self.best_state = self._copy()
        self.epochs, self.stopped = 0, False

    def _index(self, n_positions: int) -> Tensor | None:
        return None if self.neighborhood is None else self.neighborhood.index(n_positions)

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def train(self, until: float) -> None:
        """Train until some time, or until the validation rows have not improved for long."""
        for _ in count():
            if self.stopped or time.perf_counter() > until:
                return
            for rows in torch.randperm(len(self.x), generator=self.generator).split(self.batch):
                loss = masked_loss(self.network(self.x[rows], self.index), self.y[rows])
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                self.optimizer.step()
                if time.perf_counter() > until:
                    break
            self.epochs += 1
            now = self._validate()
            if now < self.best:
                self.best, self.best_state = now, self._copy()
            self.scheduler.step(now[0] + 1e-3 * min(now[1], 1.0))
            self.stopped = self.optimizer.param_groups[0]["lr"] < self.rate * 0.3**DROPS

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        scores = self._scores(self.x_valid, self.index)
        known = ~self.y_valid.isnan()
        wrong = ((scores > 0) != (self.y_valid > 0.5))[known].float().mean()
        return float(wrong), float(masked_loss(scores, self.y_valid))

    def _scores(self, x: Tensor, index: Tensor | None) -> Tensor:
        return torch.cat([self.network(part, index) for part in x.split(8 * self.batch)])

    @torch.no_grad()
    def predict(self, X: np.ndarray) -> np.ndarray:
        self.network.load_state_dict(self.best_state)
        index = self._index(X.shape[1]) if X.ndim == 3 else None
        return (self._scores(torch.from_numpy(X).float(), index) > 0).numpy().astype(np.int8)


def masked_loss(scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean logistic loss over the labels that are annotated (not NaN)."""
    losses = nn.functional.binary_cross_entropy_with_logits(scores, y.nan_to_num(), reduction="none")
    known = ~y.isnan()
    return (losses * known).sum() / known.sum().clamp(min=1)


def end_to_end(problem: Problem, labels: np.ndarray, n_blocks: int | None = None) -> Answers:
    """Train on some labels: every learning rate for a while, then the best one to the end.

    Without a number of blocks it is `affordable_blocks`.
    """
    n_blocks = n_blocks or affordable_blocks(problem, len(labels))
    trials = []
    for rate in LEARNING_RATES[1:2] if problem.quick else LEARNING_RATES:
        trials.append(Training(problem, labels, n_blocks, rate))
        trials[-1].train(time.perf_counter() + TRIAL_SHARE * problem.budget)
        if trials[-1].best <= min(trial.best for trial in trials):
            yield _answer(problem, labels, trials[-1], "tried for a fifth of the budget")
    best = min(trials, key=lambda trial: trial.best)
    if not best.stopped:
        best.train(time.perf_counter() + problem.budget)
    yield _answer(problem, labels, best, "stopped early" if best.stopped else "out of time")


def affordable_blocks(problem: Problem, n_labels: int) -> int:
    """Return the true depth and two more blocks, at most `MAX_BLOCKS`, halved until a trial has enough epochs."""
    n_blocks = min(problem.n_levels + 2, MAX_BLOCKS)
    n_rows, n_seen = problem.Y[..., 0].size, 1 if problem.neighborhood is None else problem.neighborhood.size
    weights = _width(problem) * (n_seen * (problem.X.shape[-1] + n_labels) + n_labels)
    rate = matrix_product_rate(1024) / 2
    while n_blocks > 2 and 6 * n_rows * weights * n_blocks * TRIAL_EPOCHS > rate * TRIAL_SHARE * problem.budget:
        n_blocks = max(2, n_blocks // 2)
    return n_blocks


def _width(problem: Problem) -> int:
    return QUICK_WIDTH if problem.quick else WIDTH


def _answer(problem: Problem, labels: np.ndarray, training: Training, state: str) -> Answer:
    predictions = []
    for X in problem.X_tests:
        predicted = not_predicted((*X.shape[:-1], problem.Y.shape[-1]))
        predicted[..., labels] = training.predict(X)
        predictions.append(predicted)
    shape = f"{training.n_blocks} blocks x {_width(problem)}"
    return Answer(predictions, f"{shape}, learning rate {training.rate:g}, {training.epochs} epochs, {state}")
