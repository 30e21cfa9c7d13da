"""End-to-end networks for tables: the ResNet of Gorishniy et al. (2021) and TabM (Gorishniy et al., 2024).

Not the network of `_resnet.py`: that one is shaped like ours and sized to its time, and tables want dropout instead.
Both have their authors' default sizes, and are trained by AdamW on the mean logistic loss with early stopping.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._real_peers import MAX_EPOCHS, PATIENCE, EarlyStopping, held_out

RATE, WEIGHT_DECAY = 1e-3, 3e-4
# Small sets get small batches, so that an epoch has about 32 steps.
LEAST_BATCH, MOST_BATCH, STEPS_AN_EPOCH = 32, 256, 32
# Large ones get fewer epochs: so many steps in all are enough there.
MAX_STEPS = 4000


class ResidualBlock(nn.Module):
    """z + dropout(linear(dropout(relu(linear(norm z)))))."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout / 2),
        )

    def forward(self, z: Tensor) -> Tensor:
        return z + self.change(z)


def resnet(n_inputs: int, n_labels: int) -> nn.Module:
    """Return a network that maps (n, n_inputs) to scores of shape (n, 1, n_labels)."""
    width = 192
    blocks = [ResidualBlock(width, 2 * width, dropout=0.25) for _ in range(3)]
    head = (nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, n_labels), nn.Unflatten(1, (1, n_labels)))
    return nn.Sequential(nn.Linear(n_inputs, width), *blocks, *head)


def tabm(n_inputs: int, n_labels: int) -> nn.Module:
    """Return an ensemble in one network, (n, n_inputs) to scores of shape (n, 32 members, n_labels)."""
    from tabm import TabM

    return TabM.make(n_num_features=n_inputs, d_out=n_labels)


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {"ResNet": resnet, "TabM": tabm}


class EarlyStoppedNetwork:
    """A network of members, each trained on its own loss, whose mean probability is the prediction."""

    def __init__(self, build: Callable[[int, int], nn.Module], seed: int) -> None:
        self.build, self.seed = build, seed

    def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
        torch.manual_seed(self.seed)  # layers and dropout draw from nowhere else
        x, y = torch.from_numpy(X).float(), torch.from_numpy(Y).float()
        valid = torch.from_numpy(held_out(len(X), self.seed))
        x_valid, y_valid, x, y = x[valid], y[valid], x[~valid], y[~valid]
        self.network = self.build(x.shape[1], y.shape[1])
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        batch = min(MOST_BATCH, max(LEAST_BATCH, len(x) // STEPS_AN_EPOCH))
        n_steps = len(x) // batch
        stopping = EarlyStopping(PATIENCE)
        for _ in range(min(MAX_EPOCHS, MAX_STEPS // n_steps)):
            self.network.train()
            # What is left over after whole batches may be one row, which batch norm refuses.
            for rows in torch.randperm(len(x)).split(batch)[:n_steps]:
                scores = self.network(x[rows])
                target = y[rows].unsqueeze(1).expand_as(scores)
                loss = nn.functional.binary_cross_entropy_with_logits(scores, target)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                optimizer.step()
            if stopping.is_over(self._loss(x_valid, y_valid), self._state):
                break
        self.network.load_state_dict(stopping.best)

    def _state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def _loss(self, x: Tensor, y: Tensor) -> float:
        # A float32 probability may round to 1, where the logarithm of the rest is none; PyTorch bounds it.
        return float(nn.functional.binary_cross_entropy(self._probability(x), y))

    @torch.no_grad()
    def _probability(self, x: Tensor) -> Tensor:
        self.network.eval()
        return torch.cat([self.network(part).sigmoid().mean(dim=1) for part in x.split(1024)])

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self._probability(torch.from_numpy(X).float()).numpy()
