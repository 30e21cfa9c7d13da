"""RungwiseClassifier, the scikit-learn front door: data in, a fitted residual network and its hierarchy out."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from rungwise.features import FeatureMap, HonestFeatureMap
from rungwise.fitting.calibration import calibrate, fit_calibration
from rungwise.fitting.coherence import make_coherent
from rungwise.fitting.folds import sort_into_folds
from rungwise.fitting.implications import find_implications
from rungwise.fitting.label_sets import find_label_sets
from rungwise.fitting.layerwise import LayerwiseFit, fit_layerwise
from rungwise.fitting.progress import ProgressBar
from rungwise.fitting.threads import suitable_threads
from rungwise.fitting.training import BlockReport
from rungwise.formula import Formula, gate_formula
from rungwise.hierarchy import Hierarchy, find_levels
from rungwise.history import history_frame
from rungwise.model_selection import MaskedScorer
from rungwise.neighborhood import Neighborhood
from rungwise.preprocessing.clumps import warn_of_clumps
from rungwise.preprocessing.matrices import describe_unreadable
from rungwise.preprocessing.naming import InputNames
from rungwise.preprocessing.rows import check_groups, per_row, take_rows
from rungwise.preprocessing.scaling import Standardizer
from rungwise.preprocessing.tables import TableEncoder, is_frame
from rungwise.preprocessing.targets import read_targets, read_weights
from rungwise.preprocessing.wide import WIDE, WideReducer, canonical
from rungwise.settings import draw_seed, read_settings

# Up to this many rows double precision costs little, and results agree to the last digits that people compare.
_DOUBLE_PRECISION_ROWS = 700
# Entries that the network sees at once in predictions: their copies, 8 bytes an entry, should fit in any memory.
_CHUNK = 2**22


class RungwiseClassifier(ClassifierMixin, BaseEstimator):
    """Learn many labels block by block, the hard ones from the easy ones.

    A residual network is trained by layerwise SGD (arXiv 2601.00455): each block adds to the estimates of all labels
    what it can learn from the input and from the labels learned below, judged on rows that it did not see.

    Parameters
    ----------
    features : {"auto", "random", "sparse", "linear", "kernel", "learned", "trees", "boosted"} or feature map
        What a block sees. "random": the paper's random features, and nothing else. "sparse": labels that are gates of
        few inputs and other labels are settled, one rung after another; for the labels that are left, units that see
        few entries of the stream. "linear": the stream itself. "kernel": Gaussian kernels at training rows. "learned":
        networks of several layers. "trees": the leaves of a forest. "boosted": the leaves of boosted trees. "auto":
        gates, and for the labels that are left each label blends several kinds of features, by honest loss. For other
        settings give ``TreeFeatures(n_trees=...)``, ``RandomFeatures(width=...)`` or any other object like them, of
        `rungwise.features`.
    effort : {"low", "medium", "high"}
        How much "auto" tries. "low": two small forests and a small kernel a block, of two blocks, no gates. "medium":
        gates of labels and of inputs of at most 16 values, forests, kernels, random features of everything and of the
        labels; how many trees and landmarks depends on the size of the table. "high": more of each, learned and sparse
        ones too, boosted ones of at most 200 labels, and gates that cut measurements at quantiles; many times slower.
    coherent : bool
        Whether predictions keep to implications between labels: where no training row has the child without the parent,
        in so many rows that it is no accident, the parent is predicted at least as probable as the child.
    scale : {"standard", "range"}
        How numeric features are brought to one scale: mean 0 and variance 1, or the range of the training rows onto
        [-1, 1]. The latter suits features of one unit, such as pixels.
    neighborhood : Neighborhood, optional
        For families of examples at positions on a ring, a line or a grid, that see their neighbours: X is then
        (n_samples, n_positions, n_features) and Y (n_samples, n_positions, n_labels), and so are predictions. Another
        number of positions may be predicted for than was trained on.
    max_depth : int, at least 1, optional
        Most blocks; fitting stops by itself when labels improve no more, or little. By default 500, and 2 for "auto" at
        low effort.
    loss : {"squared", "squared_hinge", "logistic"}
        Convex loss of the label margins.
    solver : {"exact", "sgd"}
        How a readout is fitted; "sgd" is the paper's algorithm: slower, and it
        warns where it stops short of the same result.
    penalty : "auto" or float, positive
        Ridge penalty of the readouts, in units of the hidden units' mean squared norm; "auto" chooses for each label
        and block by honest loss.
    tolerance : float in [0, 1)
        A label takes a block's update if that lowers its honest loss by more than this fraction, and by more than one
        standard error.
    n_folds : int, at least 2
        Folds of the honest estimates.
    random_state : None, int or RandomState
    device : str
        "auto" (a GPU if there is one), or a PyTorch device such as "cpu" or "cuda:0".
    verbose : int
        1 shows a progress bar.
    callbacks : sequence of callable, optional
        Each is called with the `BlockReport` of every block.

    Attributes
    ----------
    hierarchy_ : Hierarchy
        Level and parents of every label. The features of a sparse matrix of more than 2,000 columns are those columns
        that were kept, and components, called by the columns that they weigh most: "component 17 (x5, -x71, x8)".
    history_ : pandas.DataFrame
        A row for each block and label: honest loss and error before and after, whether the update was taken, and what
        features it is made of.
    network_ : ResidualNetwork
    n_blocks_ : int
    label_names_ : list of str
    implications_ : list of tuple of str
        Pairs of a child and a parent that it implies, with all chains of them; none unless ``coherent``.
    classes_ : ndarray
        The classes of a 1-D y; for a matrix of labels, 0 ... n_labels - 1, one for each column of the predictions.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only if X had names.

    Examples
    --------
    >>> from rungwise.datasets import make_hierarchy
    >>> X, Y, model = make_hierarchy(2000, n_inputs=10, n_levels=3, n_labels_per_level=3, random_state=0)
    >>> clf = RungwiseClassifier(random_state=0).fit(X[:1500], Y[:1500])
    >>> bool((clf.predict(X[1500:]) == Y[1500:]).mean() > 0.95)
    True
    """

    def __init__(
        self,
        features: str | FeatureMap | HonestFeatureMap = "auto",
        *,
        effort: str = "medium",
        coherent: bool = False,
        scale: str = "standard",
        neighborhood: Neighborhood | None = None,
        max_depth: int | None = None,
        loss: str = "squared",
        solver: str = "exact",
        penalty: str | float = "auto",
        tolerance: float = 0.01,
        n_folds: int = 5,
        random_state: Any = None,
        device: str = "auto",
        verbose: int = 0,
        callbacks: Sequence[Callable[[BlockReport], None]] | None = None,
    ) -> None:
        self.features = features
        self.effort = effort
        self.coherent = coherent
        self.scale = scale
        self.neighborhood = neighborhood
        self.max_depth = max_depth
        self.loss = loss
        self.solver = solver
        self.penalty = penalty
        self.tolerance = tolerance
        self.n_folds = n_folds
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.callbacks = callbacks

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> "RungwiseClassifier":
        """Fit the network.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
            NaN allowed; data frames may have text, categorical, boolean and date columns. A sparse matrix of more
            than 2,000 columns is not made dense: the network sees those 1,000 that tell most of the labels or are
            filled most often, and 100 components of all columns.
        y : array or data frame of shape (n_samples, n_labels), or (n_samples,)
            The labels, which scikit-learn calls y: {0, 1}, {-1, 1} or booleans, NaN where a label is not annotated;
            one column may hold any class names.
        sample_weight : array of shape (n_samples,) or (n_samples, n_labels), optional
            With a neighborhood also (n_samples, n_positions, n_labels).
        groups : array of shape (n_samples,), optional
            Rows of one group (subject, site) share a fold.

        Raises
        ------
        ValueError
            If a parameter, X, Y or the weights are not as described.

        Warns
        -----
        UserWarning
            If there are no groups, but rows come in small clumps of near copies, as measurements of one subject do.
        """
        settings = read_settings(self)
        X, n_positions = self._flatten(X)
        targets, self._coding = read_targets(self._flatten_targets(y, n_positions))
        check_consistent_length(X, targets)
        instances = np.arange(len(targets)) // n_positions
        check_groups(groups)
        sample_weight, groups = (per_row(values, instances, n_positions) for values in (sample_weight, groups))
        check_consistent_length(X, sample_weight, groups)
        used = read_weights(sample_weight, ~np.isnan(targets))
        rows = np.asarray(used.reshape(-1, n_positions * used.shape[1]).any(axis=1))[instances]
        matrix = self._read_X(X, reset=True, rows=rows)
        if matrix.shape[0] < 2 * n_positions:
            raise ValueError(
                "RungwiseClassifier needs at least 2 examples that have a label and a weight, however: "
                f"n_samples={matrix.shape[0] // n_positions}"
            )
        targets, used = np.nan_to_num(targets[rows]), used[rows]
        self._check_every_label_has_weight(used)
        n_rows, n_labels = targets.shape
        features, gates = settings.preset(n_rows, n_labels)

        seed = draw_seed(self.random_state)
        order, grouping = sort_into_folds(
            matrix, targets, n_positions, self.n_folds, seed, None if groups is None else groups[rows]
        )
        self.reducer_: WideReducer | None = None
        if scipy.sparse.issparse(matrix):
            content, unit = grouping.content.numpy(), grouping.unit.numpy()
            self.reducer_ = WideReducer().fit(matrix[order], targets[order], used[order], content, unit, seed)
            matrix = self.reducer_.transform(matrix)
        self.standardizer_ = Standardizer(self.scale).fit(matrix, sample_weight=used.mean(axis=1))
        inputs = InputNames(self._column_names(), self.standardizer_, matrix)
        scaled = self.standardizer_.transform(matrix)
        del matrix  # as large as x in double precision
        if groups is None:
            warn_of_clumps(scaled, np.where(used > 0, targets, 0), n_positions)

        device = settings.device
        dtype = torch.float64 if len(scaled) <= _DOUBLE_PRECISION_ROWS else torch.float32

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(array, dtype=dtype)[order].to(device)

        x, signs, weights = tensor(scaled), tensor(targets), tensor(used)
        del scaled
        callbacks = list(self.callbacks or [])
        small = suitable_threads(signs.shape[0] * (x.shape[1] + signs.shape[1]))
        with small, ProgressBar() if self.verbose else nullcontext() as bar:
            fitted = fit_layerwise(
                x if self.neighborhood is None else x.unflatten(0, (-1, n_positions)),
                signs,
                weights,
                grouping.to(device),
                features,
                settings.loss,
                gates=gates,
                neighborhood=self.neighborhood,
                solver=self.solver,
                penalties=settings.penalties,
                max_depth=settings.max_depth,
                tolerance=self.tolerance,
                generator=torch.Generator().manual_seed(seed),
                callbacks=callbacks if bar is None else [bar, *callbacks],
            )
        self.network_ = fitted.network.to(device=device, dtype=dtype)
        self.n_blocks_ = len(fitted.reports)
        self.calibration_ = fit_calibration(fitted.estimates, signs, weights, settings.loss.link).cpu().numpy()
        honest = calibrate(fitted.estimates, torch.from_numpy(self.calibration_).to(fitted.estimates.device))
        self._label_sets = find_label_sets(honest, signs, weights, grouping.unit.to(device))
        self._implications = np.empty((0, 2), dtype=np.int64)
        if self.coherent:
            self._implications = find_implications(signs, weights, grouping.unit.to(device))
        self.history_ = history_frame(fitted.reports, self._coding.names)
        self.hierarchy_ = self._find_hierarchy(fitted, inputs)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return calibrated log-odds, (n_samples, n_labels); (n_samples,) if y was one column of two classes."""
        log_odds = self._log_odds(X)
        return log_odds[:, 0] if self._coding.kind == "binary" else log_odds

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest labels of every row, (n_samples, n_labels), written as in training.

        Where label sets repeat in the training rows, that is one of them unless all are much less likely than what the
        labels say one by one: so that labels which exclude each other are not predicted together. Sets that are
        more frequent than their labels' probabilities say are preferred. Otherwise, and for one column of y, it is the
        likelier value of every label.
        """
        log_odds = self._log_odds(X)
        if self._coding.kind == "multilabel":
            present = self._label_sets.decode(log_odds.reshape(-1, log_odds.shape[-1]))
            log_odds = np.where(present, 1, -1).reshape(log_odds.shape)
        return self._coding.decode(log_odds)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every label, (n_samples, n_labels).

        If y was one column, there is a column for each class, and rows sum to 1.
        """
        probability = 1 / (1 + np.exp(-np.clip(self._log_odds(X), -500, 500)))
        if self._coding.kind == "binary":
            return np.hstack([1 - probability, probability])
        if self._coding.kind == "multiclass":
            return probability / probability.sum(axis=1, keepdims=True)
        return probability

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows of which every annotated label is predicted right; of one column, the accuracy.

        The same as ``MaskedScorer("exact_match")`` of `rungwise.model_selection`, and as scikit-learn's
        ``accuracy_score`` where no label is missing.

        Parameters
        ----------
        X : array, sparse matrix or data frame of shape (n_samples, n_features)
        y : array or data frame of shape (n_samples, n_labels), or (n_samples,)
            NaN where a label is not annotated; rows without any annotated label are left out.
        sample_weight : array of shape (n_samples,), optional

        Raises
        ------
        ValueError
            If Y or the weights are not as described, or no label is annotated.
        """
        check_is_fitted(self, "network_")
        if self._coding.kind != "multilabel" or np.ndim(y) == 1:
            return super().score(X, y, sample_weight)
        return MaskedScorer("exact_match")(self, X, y, sample_weight)

    @property
    def label_names_(self) -> list[str]:
        """Names of the labels, in the order of the columns of predictions."""
        check_is_fitted(self, "network_")
        return list(self._coding.names)

    @property
    def implications_(self) -> list[tuple[str, str]]:
        """Names of the children and parents of the implications that predictions keep to."""
        names = self.label_names_
        return [(names[child], names[parent]) for child, parent in self._implications.tolist()]

    @property
    def classes_(self) -> np.ndarray:
        """The classes of a 1-D y; for a matrix of labels, 0 ... n_labels - 1 as in scikit-learn's own classifiers."""
        if not hasattr(self, "_coding"):
            raise AttributeError("classes_ is there after fit")
        if self._coding.kind == "multilabel":
            return np.arange(len(self._coding.names))
        return self._coding.classes

    def _log_odds(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        X, n_positions = self._flatten(X)
        matrix = self._read_X(X, reset=False)
        # Whole examples, with all their positions.
        n_rows = n_positions * max(1, _CHUNK // (n_positions * self.standardizer_.n_outputs))
        starts = range(0, matrix.shape[0], n_rows)
        scores = [self._score(matrix[start : start + n_rows], n_positions) for start in starts]
        log_odds = calibrate(torch.cat(scores), torch.from_numpy(self.calibration_)).numpy()
        return make_coherent(log_odds.reshape(-1, log_odds.shape[-1]), self._implications).reshape(log_odds.shape)

    def _score(self, matrix: Any, n_positions: int) -> torch.Tensor:
        """Return the network's estimates for rows as `_read_X` returns them, float64 (n, n_labels)."""
        if self.reducer_ is not None:
            matrix = self.reducer_.transform(matrix)
        x = torch.from_numpy(self.standardizer_.transform(matrix))
        if self.neighborhood is not None:
            x = x.unflatten(0, (-1, n_positions))
        like = next(self.network_.parameters(), torch.zeros(()))
        with torch.no_grad(), suitable_threads(x.numel()):
            return self.network_(x.to(like)).double().cpu()

    def _flatten(self, X: Any) -> tuple[Any, int]:
        """Return X with a row for each position of each example, and the number of positions."""
        if self.neighborhood is None:
            return X, 1
        if is_frame(X) or not hasattr(X, "ndim"):
            X = np.asarray(X)
        if X.ndim != 3 or 0 in X.shape[1:]:
            raise ValueError(
                "with a neighborhood, X must have shape (n_samples, n_positions, n_features), none of them 0, however: "
                f"{X.shape}"
            )
        self.neighborhood.index(X.shape[1])  # refuses a number of positions that does not fit
        return X.reshape(-1, X.shape[2]), X.shape[1]

    def _flatten_targets(self, y: Any, n_positions: int) -> Any:
        if self.neighborhood is None:
            return y
        y = np.asarray(y)
        if y.ndim != 3 or y.shape[1] != n_positions:
            raise ValueError(
                f"with a neighborhood, Y must have shape (n_samples, n_positions={n_positions}, n_labels), however: "
                f"{y.shape}"
            )
        return y.reshape(-1, y.shape[2])

    def _read_X(self, X: Any, reset: bool, rows: np.ndarray | None = None) -> Any:
        """Return X as a float64 matrix with NaN for missing values; in training, of the rows that count.

        It is dense, or if it is to be reduced, a canonical CSR array.
        """
        self.encoder_: TableEncoder | None
        encoded = is_frame(X) and (reset or self.encoder_ is not None)
        if is_frame(X):
            validate_data(self, X=X, reset=reset, skip_check_array=True)
            X = X if rows is None or rows.all() else take_rows(X, rows)
            if reset:
                self.encoder_ = TableEncoder().fit(X)
            X, rows = self.encoder_.transform(X) if self.encoder_ is not None else X, None
        elif reset:
            self.encoder_ = None
        elif self.encoder_ is not None and (named := self.encoder_.columns_only_in_frames):
            raise ValueError(
                "X must be a data frame, as in training, since the model reads text, dates or durations from "
                f"{', '.join(map(repr, named[:10]))}, however: X is of type {type(X).__name__}"
            )
        options: dict[str, Any] = {"accept_sparse": "csr", "dtype": np.float64, "ensure_all_finite": "allow-nan"}
        try:
            matrix = check_array(X, **options) if encoded else validate_data(self, X, reset=reset, **options)
        except ValueError:
            if (reason := describe_unreadable(X)) is not None:
                raise ValueError(reason) from None
            raise
        is_sparse = scipy.sparse.issparse(matrix)
        if (is_sparse and matrix.shape[1] > WIDE) if reset else self.reducer_ is not None:
            matrix = canonical(matrix)
        elif is_sparse:
            matrix = matrix.toarray()
        return matrix if rows is None or rows.all() else matrix[rows]

    def _check_every_label_has_weight(self, weights: np.ndarray) -> None:
        idle = [name for name, column in zip(self._coding.names, weights.T, strict=True) if not column.any()]
        if idle:
            raise ValueError(f"sample_weight leaves these labels without any weight; drop them from Y: {idle}")

    def _find_hierarchy(self, fitted: LayerwiseFit, inputs: InputNames) -> Hierarchy:
        prior_loss = fitted.prior_loss.cpu().numpy()
        losses = np.array([report.loss_after.numpy() for report in fitted.reports])
        # What is seen of an entry at several positions adds up.
        n_seen = 1 if self.neighborhood is None else self.neighborhood.size
        importance = fitted.importance.cpu().double().numpy()
        importance = importance.reshape(n_seen, -1, importance.shape[1]).sum(axis=0)
        names, source = self._feature_names(), self._feature_of_input()
        n_inputs = len(source)
        # Columns made from one input feature (one-hot, missing indicator) add up to its importance.
        features = np.zeros((len(names), importance.shape[1]))
        np.add.at(features, source, importance[:n_inputs])
        # A label that no block changed is predicted by its frequency.
        changed = np.any([report.taken.numpy() for report in fitted.reports], axis=0) if fitted.reports else False
        by_frequency = fitted.prior_error.cpu().numpy()
        error = np.where(changed, fitted.error.cpu().numpy(), by_frequency)
        return Hierarchy(
            feature_names=tuple(names),
            label_names=self._coding.names,
            level=find_levels(losses, prior_loss),
            importance=np.vstack([features, importance[n_inputs:]]),
            honest_error=error,
            frequency_error=by_frequency,
            formulas=self._formulas(fitted, inputs, len(names)),
        )

    def _formulas(self, fitted: LayerwiseFit, inputs: InputNames, n_features: int) -> dict[int, Formula]:
        source, labels = self._feature_of_input(), self._coding.names
        n_inputs = len(source)
        seen = [""] if self.neighborhood is None else self.neighborhood.names

        def name_and_row(entry: int, threshold: float) -> tuple[str, int]:
            position, index = divmod(entry, n_inputs + len(labels))
            if index < n_inputs:
                return inputs.literal(index, threshold, seen[position]), int(source[index])
            return labels[index - n_inputs] + seen[position], n_features + index - n_inputs

        formulas = {}
        for label, found in fitted.gates.items():
            named = [name_and_row(*literal) for literal in zip(found.entry, found.threshold, strict=True)]
            names, rows = [name for name, _ in named], [row for _, row in named]
            formulas[label] = gate_formula(found.gate, found.margin, labels[label], names, rows)
        return formulas

    def _feature_names(self) -> list[str]:
        """Return the names of what labels may stand on: the features, or what they were reduced to."""
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(self.n_features_in_)])
        names = [str(name) for name in names]
        return names if self.reducer_ is None else self.reducer_.output_names(names)

    def _column_names(self) -> list[str]:
        """Return the names of the columns that are standardised."""
        return self._feature_names() if self.encoder_ is None else self.encoder_.output_names

    def _feature_of_input(self) -> np.ndarray:
        """Return for every input of the network the feature that it was made from."""
        source = self.standardizer_.source
        return source if self.encoder_ is None else np.asarray(self.encoder_.source)[source]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        return tags
