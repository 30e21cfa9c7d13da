"""Very wide sparse tables, such as counts of words, into a matrix that fits in memory, without ever making them dense.

What is kept: the columns that tell of a label, then those that hold something most often; and of all columns together
the leading components (latent semantic analysis; Deerwester, Dumais, Furnas, Landauer and Harshman, 1990).
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
from sklearn.utils.extmath import randomized_svd

from rungwise.preprocessing.telling import telling_columns

WIDE = 2000
"""Sparse tables of more columns are reduced; others are made dense, where the learner sees every column."""

# On generated texts, 4,000 columns in place of 1,000 took twice the time for 0.02 of average precision. 50 to 200
# components made no difference; none at all cost 0.04.
_MAX_COLUMNS = 1000
_N_COMPONENTS = 100

# Columns that the name of a component shows.
_NAMED = 3


class WideReducer:
    """Reduce a sparse matrix to some of its columns, as they are, and to components of all of them.

    For the components, a value x counts as sign(x) log(1 + |x|) times the inverse document frequency of its column,
    log((1 + n) / (1 + n_present)) + 1, rows are brought to norm 1, and the right singular vectors are found by the
    randomised method of Halko, Martinsson and Tropp (2011). Missing values count as 0 there; columns that are kept
    keep them.

    Parameters
    ----------
    max_columns : int, at least 1
        How many columns are kept.
    n_components : int, at least 1
        How many components; of fewer rows or columns, as many as these are.

    Attributes
    ----------
    columns_ : ndarray of shape (n_kept,), int64
        The columns that are kept, ascending.
    importance_ : ndarray of shape (n_columns,), float32
        Inverse document frequencies.
    components_ : ndarray of shape (n_columns, n_components), float32
        Loadings of the columns.

    Examples
    --------
    >>> X = scipy.sparse.csr_array(np.eye(6)[[0, 0, 1, 2, 2, 3]] + np.eye(6)[[1, 1, 1, 3, 2, 3]])
    >>> labels, rows = np.ones((6, 1)), np.arange(6)
    >>> reducer = WideReducer(max_columns=2, n_components=2).fit(X, labels, labels, content=rows, unit=rows, seed=0)
    >>> reducer.transform(X)[:, :2]
    array([[1., 1.],
           [1., 1.],
           [0., 2.],
           [0., 0.],
           [0., 0.],
           [0., 0.]])
    """

    columns_: np.ndarray
    importance_: np.ndarray
    components_: np.ndarray

    def __init__(self, max_columns: int = _MAX_COLUMNS, n_components: int = _N_COMPONENTS) -> None:
        self.max_columns, self.n_components = max_columns, n_components

    def fit(
        self,
        X: scipy.sparse.csr_array,
        targets: np.ndarray,
        weights: np.ndarray,
        content: np.ndarray,
        unit: np.ndarray,
        seed: int,
    ) -> "WideReducer":
        """Choose columns and find components; neither depends on the order of the rows, or on how often one is given.

        Parameters
        ----------
        X : CSR array of shape (n, n_columns), float64
            As `canonical` returns it.
        targets : ndarray of shape (n, n_labels)
            ±1, any value where the weight is 0.
        weights : ndarray of shape (n, n_labels)
            Not negative; every label has some.
        content, unit : ndarray of shape (n,), int64
            Of the rows' `Grouping`: rows of one content are copies, and rows of one unit together count as one example.
        seed : int
        """
        present = canonical(_without_missing(X))
        present.data = np.ones_like(present.data)
        members = scipy.sparse.csr_array((np.ones(len(unit)), (unit, np.arange(len(unit)))))
        in_unit = (members @ weights)[unit]
        weights = np.divide(weights, in_unit, out=np.zeros_like(weights), where=in_unit > 0)
        telling = telling_columns(present, targets > 0, weights)

        # In the order of contents, so that sums come out the same to the last bit.
        X = X[np.unique(content, return_index=True)[1]]
        n_present = np.bincount(X.indices[~np.isnan(X.data)], minlength=X.shape[1])
        ranked = [telling, np.argsort(-n_present, kind="stable")]
        _, place = np.unique(np.concatenate(ranked), return_index=True)
        self.columns_ = np.sort(np.argsort(place, kind="stable")[: self.max_columns])
        self.importance_ = np.log((1 + X.shape[0]) / (1 + n_present)).astype(np.float32) + 1
        _, _, components = randomized_svd(
            self._weighted(X),
            min(self.n_components, *X.shape),
            # Otherwise it would begin with random numbers for rows, not columns: where there are fewer of them.
            transpose=False,
            random_state=seed,
        )
        strongest = components[np.arange(len(components)), np.abs(components).argmax(axis=1)]
        self.components_ = np.ascontiguousarray((components * np.sign(strongest)[:, None]).T)
        return self

    def transform(self, X: scipy.sparse.csr_array) -> np.ndarray:
        """Return the columns that are kept, then the components, (n, n_kept + n_components), float64.

        Parameters
        ----------
        X : CSR array of shape (n, n_columns), float64
            As `canonical` returns it.
        """
        reduced = np.empty((X.shape[0], len(self.columns_) + self.components_.shape[1]))
        reduced[:, : len(self.columns_)] = X[:, self.columns_].toarray()
        reduced[:, len(self.columns_) :] = self._weighted(X) @ self.components_
        return reduced

    def output_names(self, names: Sequence[str]) -> list[str]:
        """Return what the outputs are called, given the names of the columns.

        A component shows the columns that it weighs most, with a minus for those that lower it.
        """
        outputs = [names[column] for column in self.columns_]
        for number, loadings in enumerate(self.components_.T, start=1):
            strongest = np.argsort(-np.abs(loadings), kind="stable")[:_NAMED]
            shown = ", ".join(("-" if loadings[column] < 0 else "") + names[column] for column in strongest)
            outputs.append(f"component {number} ({shown})")
        return outputs

    def _weighted(self, X: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
        """Return what the components are components of, float32."""
        X = _without_missing(X)
        # The logarithm first: a large number may be too large for single precision, its logarithm is not.
        X.data = (np.sign(X.data) * np.log1p(np.abs(X.data))).astype(np.float32) * self.importance_[X.indices]
        norm = np.sqrt(X.multiply(X).sum(axis=1))
        X.data /= np.repeat(np.where(norm > 0, norm, 1), np.diff(X.indptr))
        return X

    def to_tensors(self) -> dict[str, np.ndarray]:
        """Return the state as arrays."""
        return {"columns": self.columns_, "importance": self.importance_, "components": self.components_}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "WideReducer":
        """Return the reducer of which `to_tensors` gave the state."""
        reducer = cls()
        reducer.columns_ = tensors["columns"]
        reducer.importance_ = tensors["importance"]
        reducer.components_ = tensors["components"]
        return reducer


def canonical(X: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return the same matrix, stored the one way: columns in order, each once, and no zeros."""
    X = scipy.sparse.csr_array(X, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def _without_missing(X: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array((np.nan_to_num(X.data), X.indices, X.indptr), shape=X.shape)
