"""Columns of any unit into the network's input x: one scale, nothing missing, nothing that one outlier can dominate.

The theory takes x from [-1, 1]^d and β-Xavier from inputs of squared norm d (arXiv 2601.00455, section 2). Columns
are therefore brought to mean 0 and variance 1, which gives a squared norm of d on average.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

# A value 1,000 standard deviations out would make up the whole norm of its row's stream, and every hidden unit of that
# row would see this column alone. Of a normal column, 5 standard deviations cut off 1 value in 1.7 million.
CLIP = 5.0

# Entries that means and scales are computed of at once.
_CHUNK = 2**21

SCALES = ("standard", "range")


class Standardizer:
    """Standardise columns, fill what is missing with the mean, and say with extra columns what was missing.

    A column x becomes (x - mean) / scale, clipped to ±5, with 0 for NaN. A column that is constant in training, or
    missing throughout, is 0 whatever comes later: nothing was learned about its other values. One column of ±1 (+1
    where missing) follows for every pattern of missing rows in training: columns that were missing together, such as
    the categories of one text column, share it.

    Parameters
    ----------
    scale : {"standard", "range"}
        "range" takes the middle of a column's range in training for its mean, and half the range for its scale: what
        lay between the extremes comes to lie in [-1, 1], and columns of one unit, such as pixels, keep their contrasts.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_columns,), float64
        Weighted mean and standard deviation of what is not missing; the scale of a column that stays 0 is infinite.
    indicator_columns_ : ndarray of shape (n_indicators,), int64
        For every indicator, the column of which it says whether it is missing.

    Examples
    --------
    >>> X = np.array([[1.0, 7.0], [3.0, np.nan]])
    >>> Standardizer().fit(X).transform(X)
    array([[-1.,  0., -1.],
           [ 1.,  0.,  1.]])
    """

    mean_: np.ndarray
    scale_: np.ndarray
    indicator_columns_: np.ndarray

    def __init__(self, scale: str = "standard") -> None:
        self.scale = scale

    @property
    def source(self) -> np.ndarray:
        """For every output column the index of the input column that it came from, (n_outputs,), int64."""
        return np.concatenate([np.arange(len(self.mean_)), self.indicator_columns_])

    @property
    def n_outputs(self) -> int:
        """Width of the network's input."""
        return len(self.mean_) + len(self.indicator_columns_)

    def fit(self, X: np.ndarray, sample_weight: np.ndarray | None = None) -> "Standardizer":
        """Learn means, scales and which columns have missing values.

        Parameters
        ----------
        X : ndarray of shape (n, n_columns), float64
            Finite or NaN.
        sample_weight : ndarray of shape (n,) or None
            Non-negative. A row of weight 0 counts as absent, a row of weight 2 as two rows.

        Returns
        -------
        Standardizer
            Itself.

        Raises
        ------
        ValueError
            If no row has a positive weight.
        """
        if sample_weight is not None and not (sample_weight > 0).all():
            X, sample_weight = X[sample_weight > 0], sample_weight[sample_weight > 0]
        if len(X) == 0:
            raise ValueError("the table must have at least one row of positive weight, however: it has none")
        missing = np.isnan(X)
        self.mean_ = np.zeros(X.shape[1])
        self.scale_ = np.full(X.shape[1], np.inf)
        filled = np.flatnonzero(~missing.all(axis=0))
        # Some columns at a time: what follows makes several copies.
        n_columns = max(1, _CHUNK // len(X))
        for some in (filled[start : start + n_columns] for start in range(0, len(filled), n_columns)):
            self.mean_[some], self.scale_[some] = self._mean_and_scale(X[:, some], sample_weight)
        self.indicator_columns_ = _distinct_patterns(missing)
        return self

    def _mean_and_scale(self, X: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the scale of some columns, none of them missing throughout."""
        # Columns in units of their largest value: squares of very large or small numbers would leave the range of
        # float64.
        largest = np.nanmax(np.abs(X), axis=0)
        largest[largest == 0] = 1
        scaler = StandardScaler().fit(X / largest, sample_weight=sample_weight)
        # Up to rounding, constant columns have a variance of 0; scikit-learn marks them by a scale of 1 instead.
        constant = scaler.scale_ != np.sqrt(scaler.var_)
        if self.scale == "range":
            low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
            return low / 2 + high / 2, np.where(constant, np.inf, high / 2 - low / 2)
        return scaler.mean_ * largest, np.where(constant, np.inf, scaler.scale_ * largest)

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the network's input.

        Parameters
        ----------
        X : ndarray of shape (n, n_columns), float64
            Finite or NaN.

        Returns
        -------
        ndarray of shape (n, n_outputs), float64
            Without NaN, every entry in [-5, 5].
        """
        # In place: a table may fill most of the memory.
        inputs = np.empty((len(X), self.n_outputs))
        standardised, indicators = inputs[:, : len(self.mean_)], inputs[:, len(self.mean_) :]
        np.subtract(X, self.mean_, out=standardised)
        standardised /= self.scale_
        np.clip(standardised, -CLIP, CLIP, out=standardised)
        np.nan_to_num(standardised, copy=False, nan=0.0)
        indicators[:] = np.where(np.isnan(X[:, self.indicator_columns_]), 1.0, -1.0)
        return inputs

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return {"mean": self.mean_, "scale": self.scale_, "indicator_columns": self.indicator_columns_}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Standardizer":
        """Return the standardizer of which `to_tensors` gave the state."""
        standardizer = cls()
        standardizer.mean_ = tensors["mean"]
        standardizer.scale_ = tensors["scale"]
        standardizer.indicator_columns_ = tensors["indicator_columns"]
        return standardizer


def _distinct_patterns(missing: np.ndarray) -> np.ndarray:
    """Return the first column of every distinct pattern of missing rows; all-present and all-missing tell nothing."""
    partly = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
    _, first = np.unique(missing[:, partly], axis=1, return_index=True)
    return np.sort(partly[first])
