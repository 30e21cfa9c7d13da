"""Data sets kept as files: one ``.npz`` per set in the folder named by the environment variable RUNGWISE_DATA.

Keys of a file: X (n, d), or X_data, X_indices, X_indptr, X_shape for CSR; Y (n, L) of {0, 1}; feature_names,
label_names; train_idx, valid_idx, test_idx; and what else is known, such as label_edges, which is passed on as it is.
"""

import os
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils import Bunch

VARIABLE = "RUNGWISE_DATA"
SPLIT_KEYS = ("train_idx", "valid_idx", "test_idx")


def local_sets() -> dict[str, Path]:
    """Return the files in the folder RUNGWISE_DATA by name of the set; none if the variable is not set or empty.

    Raises
    ------
    FileNotFoundError
        If the variable names something that is not a folder.
    """
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{VARIABLE} must name a folder (or be unset), however: {VARIABLE}={folder!r}")
    return {path.stem: path for path in sorted(Path(folder).glob("*.npz"))}


def read_local_set(name: str, path: Path) -> Bunch:
    """Read one file; see ``fetch_multilabel`` for what the bunch holds.

    Raises
    ------
    ValueError
        If the file lacks a key, its shapes disagree, or Y has other values than 0 and 1.
    """
    with np.load(path, allow_pickle=False) as stored:
        content = {key: stored[key] for key in stored.files}
    try:
        if "X_data" in content:
            parts = tuple(content.pop(key) for key in ("X_data", "X_indices", "X_indptr"))
            X = csr_matrix(parts, shape=tuple(content.pop("X_shape").tolist()))
        else:
            X = content.pop("X")
        Y = content.pop("Y")
        feature_names = content.pop("feature_names").tolist()
        label_names = content.pop("label_names").tolist()
    except KeyError as missing:
        raise ValueError(f"{path} must hold the key {missing}, however: keys={sorted(content)}") from None
    expected = (X.shape[0], len(label_names))
    if Y.shape != expected or X.shape[1] != len(feature_names):
        raise ValueError(
            f"{path} must have one row of Y per row of X and one name per column, however: X.shape={X.shape}, "
            f"Y.shape={Y.shape}, {len(feature_names)} feature_names, {len(label_names)} label_names"
        )
    if not np.isin(Y, (0, 1)).all():
        raise ValueError(f"Y in {path} must hold 0 and 1 only, however: values={np.unique(Y).tolist()}")
    splits = {key: content.pop(key, None) for key in SPLIT_KEYS}
    # Text is stored as arrays without dimension, because pickles are not allowed.
    extras = {key: value.item() if value.ndim == 0 else value for key, value in content.items() if key != "name"}
    return Bunch(
        **extras,
        **splits,
        X=X.astype(np.float32),
        Y=Y.astype(np.int8),
        feature_names=feature_names,
        label_names=label_names,
        name=name,
        source=str(path),
        DESCR=f"{name}: {X.shape[0]} examples, {X.shape[1]} features, {Y.shape[1]} labels, read from {path}.",
    )
