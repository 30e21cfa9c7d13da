import os
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, issparse
from sklearn.utils import Bunch

from rungwise.datasets import fetch_multilabel, multilabel

BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL_SETS = {
    # name: X.shape, Y.shape, sparse, sizes of the published split; from shared/data/README.md
    "emotions": ((593, 72), (593, 6), False, (391, 0, 202)),
    "yeast": ((2417, 103), (2417, 14), False, (1500, 0, 917)),
    "medical": ((978, 1449), (978, 45), True, (333, 0, 645)),
    "cellcycle_FUN": ((3757, 77), (3757, 499), False, (1628, 848, 1281)),
}


@pytest.fixture
def no_folder(monkeypatch):
    monkeypatch.delenv("RUNGWISE_DATA", raising=False)


def stub_openml(monkeypatch, name, **content):
    """Let fetch_openml return a made table instead of reaching for the network; returns the calls it gets."""
    calls = []

    def fetch_openml(**parameters):
        calls.append(parameters)
        return Bunch(details={"name": name}, DESCR="made for a test", **content)

    monkeypatch.setattr(multilabel, "fetch_openml", fetch_openml)
    return calls


def made_features():
    return pd.DataFrame(
        {
            "loudness": [0.5, np.nan, 2.0],
            "live": pd.Categorical(["YES", "NO", None]),
            "key": pd.Categorical(["C", "F#", "C"]),
        }
    )


def made_labels():
    return pd.DataFrame({"calm": pd.Categorical(["TRUE", "FALSE", "TRUE"]), "sad": ["FALSE", "FALSE", "TRUE"]})


def test_openml_targets_become_indicators(no_folder, monkeypatch, tmp_path):
    labels = made_labels()
    calls = stub_openml(
        monkeypatch, "emotions", data=made_features(), target=labels, target_names=list(labels), feature_names=None
    )
    found = fetch_multilabel("emotions", data_home=tmp_path)
    assert calls == [{"data_id": 40589, "data_home": tmp_path, "parser": "liac-arff"}]
    assert found.Y.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert found.Y.dtype == np.int8
    assert found.label_names == ["calm", "sad"]
    assert found.feature_names == ["loudness", "live", "key=C", "key=F#"]
    np.testing.assert_array_equal(found.X, [[0.5, 1, 1, 0], [np.nan, 0, 0, 1], [2, np.nan, 1, 0]])
    assert found.X.dtype == np.float32
    assert found.train_idx is found.valid_idx is found.test_idx is None
    assert (found.name, found.source, found.DESCR) == ("emotions", "OpenML data id 40589", "made for a test")


def test_labels_among_the_columns_are_found_when_no_target_is_declared(no_folder, monkeypatch):
    table = pd.concat([made_features(), made_labels().astype(object)], axis=1)
    table["angry"] = [True, False, False]
    stub_openml(monkeypatch, "yeast", data=table, target=None, target_names=[], feature_names=list(table))
    found = fetch_multilabel("yeast")
    assert found.label_names == ["calm", "sad", "angry"]
    assert found.Y.tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 0]]
    assert found.feature_names == ["loudness", "live", "key=C", "key=F#"]


def test_one_declared_target_is_joined_by_the_other_label_columns(no_folder, monkeypatch):
    labels = made_labels()
    table = pd.concat([made_features(), labels[["sad"]]], axis=1)
    stub_openml(monkeypatch, "yeast", data=table, target=labels["calm"], target_names=["calm"], feature_names=None)
    assert fetch_multilabel("yeast").label_names == ["calm", "sad"]


def test_sparse_openml_tables_stay_sparse(no_folder, monkeypatch):
    stub_openml(
        monkeypatch,
        "enron",
        data=csr_matrix([[0.0, 1.0], [2.0, 0.0]]),
        target=np.array([[b"TRUE", b"FALSE"], [b"FALSE", b"TRUE"]], dtype=object),
        target_names=["work", "home"],
        feature_names=["deal", "gas"],
    )
    found = fetch_multilabel("enron")
    assert issparse(found.X)
    assert found.X.toarray().tolist() == [[0, 1], [2, 0]]
    assert found.Y.tolist() == [[1, 0], [0, 1]]
    assert found.feature_names == ["deal", "gas"]


def test_label_with_a_third_value_is_refused(no_folder, monkeypatch):
    labels = pd.DataFrame({"calm": ["TRUE", "maybe", "FALSE"], "sad": ["FALSE", "TRUE", "FALSE"]})
    stub_openml(monkeypatch, "emotions", data=made_features(), target=labels, target_names=list(labels))
    with pytest.raises(ValueError, match=r"label 'calm' of 'emotions' must be TRUE or FALSE .* it holds 'maybe'"):
        fetch_multilabel("emotions")


def test_table_without_labels_is_refused(no_folder, monkeypatch):
    stub_openml(monkeypatch, "emotions", data=made_features(), target=None, target_names=[])
    with pytest.raises(ValueError, match=r"'emotions' must have label columns .* it has none"):
        fetch_multilabel("emotions")


def test_another_set_under_the_same_id_is_refused(no_folder, monkeypatch):
    stub_openml(monkeypatch, "iris", data=made_features(), target=made_labels(), target_names=[])
    with pytest.raises(ValueError, match="data id 40595 must be 'scene', however: it is 'iris'"):
        fetch_multilabel("scene")


@pytest.mark.parametrize("failure", [URLError("no route to host"), OSError("disk full"), TimeoutError("too slow")])
def test_failed_download_says_what_to_do(no_folder, monkeypatch, failure):
    def fetch_openml(**parameters):
        raise failure

    monkeypatch.setattr(multilabel, "fetch_openml", fetch_openml)
    with pytest.raises(OSError, match=r"'scene' could not be downloaded .* put scene\.npz in a folder .*RUNGWISE_DATA"):
        fetch_multilabel("scene")


def store(folder, name="tiny", **changes):
    content = {
        "name": name,
        "X": np.arange(6, dtype=np.float32).reshape(3, 2),
        "Y": np.array([[1, 0], [0, 0], [1, 1]], dtype=np.uint8),
        "feature_names": np.array(["a", "b"]),
        "label_names": np.array(["u", "v"]),
        "train_idx": np.array([0, 1], dtype=np.int32),
        "valid_idx": np.array([], dtype=np.int32),
        "test_idx": np.array([2], dtype=np.int32),
        "edge_kind": "implication",
        "label_edges": np.array([[1, 0]]),
    } | changes
    np.savez(folder / f"{name}.npz", **{key: value for key, value in content.items() if value is not None})


def test_file_in_the_folder_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    store(tmp_path)
    found = fetch_multilabel("tiny")
    assert found.X.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found.Y.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert (found.feature_names, found.label_names) == (["a", "b"], ["u", "v"])
    assert found.train_idx.tolist() == [0, 1]
    assert found.test_idx.tolist() == [2]
    assert found.edge_kind == "implication"
    assert found.label_edges.tolist() == [[1, 0]]


def test_file_comes_before_openml(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    store(tmp_path, "yeast")
    calls = stub_openml(monkeypatch, "yeast")
    assert fetch_multilabel("yeast").X.shape == (3, 2)
    assert calls == []


def test_sparse_file_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    X = csr_matrix(np.array([[0, 1], [0, 0], [2, 0]], dtype=np.float32))
    store(tmp_path, X=None, X_data=X.data, X_indices=X.indices, X_indptr=X.indptr, X_shape=np.array(X.shape))
    found = fetch_multilabel("tiny").X
    assert issparse(found)
    np.testing.assert_array_equal(found.toarray(), X.toarray())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_names": None}, "must hold the key 'label_names', however: keys="),
        ({"label_names": np.array(["u"])}, r"Y\.shape=\(3, 2\), 2 feature_names, 1 label_names"),
        ({"Y": np.full((3, 2), 2)}, r"must hold 0 and 1 only, however: values=\[2\]"),
    ],
)
def test_broken_file_is_refused(monkeypatch, tmp_path, changes, message):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    store(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        fetch_multilabel("tiny")


def test_unknown_name_lists_the_known_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path))
    store(tmp_path)
    with pytest.raises(ValueError, match=r"name must be one of birds, .*, scene, .*, tiny, yeast .* name='Yeats'"):
        fetch_multilabel("Yeats")


def test_folder_that_is_none_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("RUNGWISE_DATA", str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="RUNGWISE_DATA must name a folder"):
        fetch_multilabel("yeast")


@pytest.mark.parametrize("name", REAL_SETS)
def test_real_set_has_its_published_shape(monkeypatch, name):
    folder = Path(os.environ.get("RUNGWISE_DATA") or BESIDE_THE_CHECKOUT)
    if not (folder / f"{name}.npz").is_file():
        pytest.skip(f"{name}.npz is neither in RUNGWISE_DATA nor in {BESIDE_THE_CHECKOUT}")
    monkeypatch.setenv("RUNGWISE_DATA", str(folder))
    X_shape, Y_shape, sparse, split = REAL_SETS[name]
    found = fetch_multilabel(name)
    assert found.X.shape == X_shape == (X_shape[0], len(found.feature_names))
    assert found.Y.shape == Y_shape == (Y_shape[0], len(found.label_names))
    assert issparse(found.X) is sparse
    assert tuple(len(found[key]) for key in ("train_idx", "valid_idx", "test_idx")) == split
