"""Scores of label probabilities, and of the labels predicted, on test rows."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

N_BINS = 15
# As tables name them; True where more is better.
MEASURES = {
    "micro AP": True,
    "macro AP": True,
    "Hamming": False,
    "exact": True,
    "AUC": True,
    "ECE": False,
}


def score_probabilities(
    truth: np.ndarray, probability: np.ndarray, predicted: np.ndarray | None = None
) -> dict[str, float]:
    """Return every one of `MEASURES`.

    Parameters
    ----------
    truth : ndarray of shape (n, L)
        {0, 1}.
    probability : ndarray of shape (n, L)
    predicted : ndarray of shape (n, L), optional
        {0, 1}; by default the labels whose probability is above 1/2.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or the shapes differ.
    """
    if probability.shape != truth.shape:
        raise ValueError(f"probabilities must be of shape {truth.shape}, however: {probability.shape}")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError(f"probabilities must be in [0, 1], however: {probability.min()} to {probability.max()}")
    wrong = (probability > 0.5 if predicted is None else predicted) != truth
    positive = truth.any(axis=0)
    varying = positive & ~truth.all(axis=0)
    return {
        "micro AP": float(average_precision_score(truth, probability, average="micro")),
        "macro AP": float(average_precision_score(truth[:, positive], probability[:, positive], average="macro")),
        "Hamming": float(wrong.mean()),
        "exact": float(1 - wrong.any(axis=1).mean()),
        "AUC": float(roc_auc_score(truth[:, varying], probability[:, varying], average="macro")),
        "ECE": calibration_error(truth, probability),
    }


def calibration_error(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return the expected calibration error of all entries pooled, over bins of equal width.

    Σ_b (n_b / n) |mean truth in bin b - mean probability in bin b|
    """
    bins = np.minimum((probability.ravel() * N_BINS).astype(int), N_BINS - 1)
    surplus = np.bincount(bins, weights=(probability - truth).ravel(), minlength=N_BINS)
    return float(np.abs(surplus).sum() / truth.size)
