import json
import os
import stat

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

import rungwise
from rungwise import RandomFeatures, RungwiseClassifier
from rungwise.datasets import make_hierarchy
from rungwise.persistence import ModelFileError, _digest


@pytest.fixture(scope="module")
def fitted():
    X, Y, _ = make_hierarchy(200, n_inputs=6, n_levels=2, n_labels_per_level=3, random_state=0)
    return RungwiseClassifier(RandomFeatures(width=32), max_depth=3, random_state=0).fit(X, Y), X


@pytest.fixture
def path(fitted, tmp_path):
    path = tmp_path / "model.rungwise"
    rungwise.save(fitted[0], path)
    return path


def rewrite(path, change, without=(), adding=None):
    """Write the file again with a changed description, other tensors, and a digest that fits."""
    with safetensors.safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["description"])
    tensors = {name: value for name, value in safetensors.torch.load_file(path).items() if name not in without}
    tensors |= adding or {}
    change(description)
    text = json.dumps(description)
    header = {"format": "rungwise model", "description": text, "digest": _digest(text, tensors)}
    safetensors.torch.save_file(tensors, path, header)


def test_loaded_model_is_the_saved_one(fitted, path):
    clf, X = fitted
    loaded = rungwise.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.label_names_ == clf.label_names_
    assert loaded.features == clf.features
    assert str(loaded.hierarchy_) == str(clf.hierarchy_)
    pd.testing.assert_frame_equal(loaded.hierarchy_.to_frame(), clf.hierarchy_.to_frame())
    pd.testing.assert_frame_equal(loaded.history_, clf.history_)


def test_saving_a_loaded_model_gives_the_same_content(path, tmp_path):
    again = tmp_path / "again.rungwise"
    rungwise.save(rungwise.load(path), again)
    with safetensors.safe_open(path, "pt") as first, safetensors.safe_open(again, "pt") as second:
        assert first.metadata() == second.metadata()  # the digest covers every tensor


@pytest.mark.parametrize("y", [["yes", "no"] * 30, ["a", "b", "c"] * 20, [True, False] * 30, [3, 7] * 30])
def test_classes_survive(y, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    clf = RungwiseClassifier(RandomFeatures(width=8), random_state=0).fit(X, y)
    rungwise.save(clf, tmp_path / "m")
    predicted = rungwise.load(tmp_path / "m").predict(X)
    np.testing.assert_array_equal(predicted, clf.predict(X))
    assert predicted.dtype == clf.predict(X).dtype


def test_frames_with_text_survive(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=80), "kind": rng.choice(["a", "b", "c"], 80)})
    frame.loc[::7, "size"] = np.nan
    labels = pd.DataFrame({"is a": (frame["kind"] == "a").astype(int)})
    clf = RungwiseClassifier(RandomFeatures(width=32), random_state=0).fit(frame, labels)
    rungwise.save(clf, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict_proba(frame), clf.predict_proba(frame))
    assert loaded.hierarchy_.parents("is a") == ["kind"]


def test_parameters_of_numpy_types_survive(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3))
    given = {
        "max_depth": np.int64(1),
        "n_folds": np.int32(3),
        "penalty": np.float32(0.5),
        "tolerance": np.float64(0.25),
        "loss": np.str_("squared"),
        "random_state": np.int64(7),
        "verbose": np.bool_(False),
    }
    clf = RungwiseClassifier(RandomFeatures(width=8, beta=np.float32(0.25)), **given).fit(X, X[:, 0] > 0)
    rungwise.save(clf, tmp_path / "m")
    loaded = rungwise.load(tmp_path / "m")
    assert {name: loaded.get_params()[name] for name in given} == given
    assert loaded.features == clf.features


def test_existing_file_is_kept_unless_asked(fitted, path):
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        rungwise.save(fitted[0], path)
    assert path.read_bytes() == before
    rungwise.save(fitted[0], path, overwrite=True)


def test_pipe_is_never_replaced(fitted, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"regular file.*pipe"):
        rungwise.save(fitted[0], tmp_path / "pipe", overwrite=True)
    assert (tmp_path / "pipe").is_fifo()


def test_failed_write_leaves_the_old_file_and_no_litter(fitted, path, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        rungwise.save(fitted[0], path, overwrite=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_file_has_ordinary_permissions(path):
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_truncated_file_is_refused(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ModelFileError, match=r"model\.rungwise"):
        rungwise.load(path)


@pytest.mark.parametrize("place", [0.0, 0.05, 0.3, 0.6, 0.9])
def test_altered_byte_is_noticed(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.rungwise"):
        rungwise.load(path)


def test_future_version_is_refused(path):
    rewrite(path, lambda description: description.update(version=99, rungwise="9.9"))
    with pytest.raises(ModelFileError, match=r"version 99.*upgrade"):
        rungwise.load(path)


def test_file_of_before_there_were_implications_is_read(fitted, path):
    rewrite(path, lambda description: description["parameters"].pop("coherent"), without=["implications"])
    clf, X = fitted
    loaded = rungwise.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.implications_ == []


def test_file_of_before_there_were_label_sets_and_errors_of_the_frequency_is_read(fitted, path):
    rewrite(path, lambda description: None, without=["frequency_error", "label_sets", "label_set_surplus"])
    clf, X = fitted
    loaded = rungwise.load(path)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert np.isnan(loaded.hierarchy_.frequency_error).all()


def test_file_of_before_each_label_set_had_a_surplus_is_read(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    clf = RungwiseClassifier(RandomFeatures(width=8), random_state=0).fit(X, np.eye(3, dtype=int)[X.argmax(1)])
    rungwise.save(clf, tmp_path / "m")
    penalty = {"label_set_penalty": torch.tensor(0.5, dtype=torch.float64)}
    rewrite(tmp_path / "m", lambda description: None, without=["label_set_surplus"], adding=penalty)
    loaded = rungwise.load(tmp_path / "m")
    assert len(clf._label_sets.sets)
    np.testing.assert_array_equal(loaded._label_sets.surplus, np.full(len(clf._label_sets.sets), 0.5))
    rungwise.save(loaded, tmp_path / "again")
    np.testing.assert_array_equal(rungwise.load(tmp_path / "again").predict(X), loaded.predict(X))


def test_file_of_before_bends_were_chosen_is_read(fitted, path):
    clf, X = fitted
    before = clf.calibration_.copy()
    before[2] = 1
    rewrite(path, lambda description: None, without=["calibration"], adding={"calibration": torch.from_numpy(before)})
    loaded = rungwise.load(path)
    assert (loaded.calibration_[2] == 0.98).all()
    assert np.isfinite(loaded.decision_function(X)).all()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" * 50, b"\x80\x04\x95" * 30, b'{"a": 1}' * 20])
def test_foreign_file_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="not a rungwise model"):
        rungwise.load(tmp_path / "m")


def test_foreign_safetensors_file_is_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(3)}, tmp_path / "m")
    with pytest.raises(ModelFileError, match="not a rungwise model"):
        rungwise.load(tmp_path / "m")


def test_missing_file_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        rungwise.load(tmp_path / "none")


def test_layer_of_unknown_kind_cannot_be_saved(tmp_path):
    class Plain:
        name = "plain"
        replaces = False
        reads_labels = False

        def fit(self, stream, generator, objective, label_entries):
            return torch.nn.Identity()

    X = np.random.default_rng(0).normal(size=(50, 3))
    clf = RungwiseClassifier(Plain(), random_state=0).fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="Identity cannot be saved"):
        rungwise.save(clf, tmp_path / "m")
    assert not list(tmp_path.iterdir())
