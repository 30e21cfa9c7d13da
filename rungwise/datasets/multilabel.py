"""Real multi-label data sets: from files in the folder RUNGWISE_DATA, else from OpenML through scikit-learn."""

from pathlib import Path

from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

from rungwise.datasets._local_sets import SPLIT_KEYS, VARIABLE, local_sets, read_local_set
from rungwise.datasets._openml_tables import split_table

# OpenML's data ids of the sets of Probst, Au, Casalicchio, Stachl and Bischl, "Multilabel Classification with R Package
# mlr" (arXiv 1703.08991). The name that OpenML reports is checked against these.
OPENML_IDS = {
    "birds": 40588,
    "emotions": 40589,
    "enron": 40590,
    "genbase": 40591,
    "image": 40592,
    "langLog": 40593,
    "reuters": 40594,
    "scene": 40595,
    "slashdot": 40596,
    "yeast": 40597,
}


def fetch_multilabel(name: str, *, data_home: str | Path | None = None) -> Bunch:
    """Load a multi-label data set by name.

    ``<name>.npz`` in the folder named by the environment variable RUNGWISE_DATA comes first; then OpenML, which
    scikit-learn downloads once and keeps in ``data_home``.

    Parameters
    ----------
    name : str
        "birds", "emotions", "enron", "genbase", "image", "langLog", "reuters", "scene", "slashdot" or "yeast"; or any
        file in RUNGWISE_DATA, without its ".npz".
    data_home : str, Path or None
        Where scikit-learn keeps downloads; None is its usual folder, ``~/scikit_learn_data``.

    Returns
    -------
    bunch : Bunch
        - X : float32 array or CSR matrix of shape (n_samples, n_features); missing values are NaN
        - Y : int8 array of shape (n_samples, n_labels), of {0, 1}
        - feature_names, label_names : list of str
        - train_idx, valid_idx, test_idx : int arrays of row indices, or None where no split is known (OpenML)
        - name, source, DESCR : str
        - and, from a file, all else that it holds, such as ``label_edges``: for scoring, not for learning.

    Raises
    ------
    ValueError
        If the name is unknown, or the file or table is not of the expected layout.
    OSError
        If the set is not in RUNGWISE_DATA and OpenML cannot be reached.
    """
    files = local_sets()
    if name in files:
        return read_local_set(name, files[name])
    if name not in OPENML_IDS:
        known = ", ".join(sorted({*OPENML_IDS, *files}))
        raise ValueError(
            f"name must be one of {known} (a file <name>.npz in the folder {VARIABLE} adds one), however: name={name!r}"
        )
    data_id = OPENML_IDS[name]
    try:
        # Not the pandas parser: it reads TRUE and FALSE as bool, which scikit-learn 1.9 then fails to handle as text.
        table = fetch_openml(data_id=data_id, data_home=data_home, parser="liac-arff")
    except OSError as error:
        raise OSError(
            f"the data set {name!r} could not be downloaded from OpenML (data id {data_id}): {error}. Connect to the "
            f"network and try again, or put {name}.npz in a folder and name that folder in the environment variable "
            f"{VARIABLE}"
        ) from error
    found = str(table.details["name"])
    if found.lower() != name.lower():
        raise ValueError(f"OpenML's data id {data_id} must be {name!r}, however: it is {found!r}; please report this")
    X, Y, feature_names, label_names = split_table(table, name)
    return Bunch(
        **dict.fromkeys(SPLIT_KEYS),
        X=X,
        Y=Y,
        feature_names=feature_names,
        label_names=label_names,
        name=name,
        source=f"OpenML data id {data_id}",
        DESCR=table.DESCR,
    )
