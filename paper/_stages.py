"""What a fitted network says after every block: the paper's f̂_0, f̂_1, …, whose signs are the predictions."""

import numpy as np
import torch

from rungwise import RungwiseClassifier


def staged_errors(fitted: RungwiseClassifier, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return the error rate of each label after every block, (n_blocks + 1, n_labels), from f̂_0 = 0 on.

    Parameters
    ----------
    fitted : RungwiseClassifier
    X : array of shape (n, n_inputs), or with a neighborhood (n, n_positions, n_inputs)
    Y : array of shape (n, n_labels), or (n, n_positions, n_labels), of {0, 1}
    """
    network = fitted.network_
    rows = fitted.standardizer_.transform(X.reshape(-1, X.shape[-1]).astype(np.float64))
    like = next(network.parameters(), torch.zeros(()))
    with torch.no_grad():
        stages = network(torch.from_numpy(rows.reshape(*X.shape[:-1], -1)).to(like), return_all=True)
    wrong = (stages.cpu().numpy() > 0) != (Y > 0)
    return wrong.reshape(len(wrong), -1, Y.shape[-1]).mean(axis=1)


def errors_by_level(errors: np.ndarray, level: np.ndarray) -> list[list[float]]:
    """Return the mean error of the labels of each level, a row for each stage, from those of each label."""
    return np.stack([errors[:, level == i].mean(axis=1) for i in range(1, level.max() + 1)], axis=1).round(5).tolist()


def draw_errors(panel, errors: list[list[float]], title: str, of: str = "level"):
    """Draw a map of errors, in percent, blocks (from 1) by levels, and return it; the diagonal is outlined."""
    percent = 100 * np.array(errors[1:])
    picture = panel.imshow(percent, cmap="viridis_r", vmin=0, vmax=50, origin="lower", aspect="auto")
    for (block, level), value in np.ndenumerate(percent):
        text = f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
        panel.text(level, block, text, ha="center", va="center", fontsize=6, color="w" if value > 25 else "k")
        if block == level:
            panel.add_patch(_outline(level, block))
    ticks = [range(n) for n in percent.shape]
    panel.set_yticks(ticks[0], [str(i + 1) for i in ticks[0]])
    panel.set_xticks(ticks[1], [str(i + 1) for i in ticks[1]])
    panel.set_xlabel(f"{of} of the label")
    panel.set_ylabel("after block")
    panel.set_title(title, fontsize=9)
    return picture


def _outline(level: int, block: int):
    from matplotlib.patches import Rectangle

    return Rectangle((level - 0.5, block - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=1.5)


def diagonal(errors: list[list[float]]) -> list[float]:
    """Return the error of level i after block i, for each i; if there are fewer blocks, after the last one."""
    return [errors[min(i, len(errors) - 1)][i - 1] for i in range(1, len(errors[0]) + 1)]


def blocks_needed(errors: list[list[float]], target: float) -> list[int | None]:
    """Return for each level the first block after which its error is at most the target, None if there is none."""
    reached = np.array(errors) <= target
    return [int(column.argmax()) if column.any() else None for column in reached.T]
