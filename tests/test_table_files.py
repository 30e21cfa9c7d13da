import gzip
import importlib.util
import os

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from rungwise.table_files import check_output, read_table, write_table

FRAME = pd.DataFrame(
    {"x": [1.5, np.nan, -2.0], "n": [1, 2, 3], "eye": ["blue, dark", None, 'so-called "brown"'], "é": True}
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "T.CSV"])
def test_written_table_reads_the_same(tmp_path, name):
    write_table(FRAME, tmp_path / name)
    pd.testing.assert_frame_equal(read_table(str(tmp_path / name)), FRAME)
    assert os.listdir(tmp_path) == [name]


def test_equal_tables_are_equal_files(tmp_path):
    write_table(FRAME, tmp_path / "a.csv.gz")
    write_table(FRAME, tmp_path / "a2.csv.gz")
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "a2.csv.gz").read_bytes()


def test_columns_can_be_kept_as_text(tmp_path):
    (tmp_path / "t.csv").write_text("code,n\n007,1\n,2\n")
    table = read_table(tmp_path / "t.csv", text_columns=["code", "not there"])
    assert table["code"].iloc[0] == "007"
    assert table["code"].isna().tolist() == [False, True]
    assert table["n"].tolist() == [1, 2]


def test_existing_file_is_replaced_only_when_forced(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"t\.csv' exists; name another one, or replace it with --force"):
        write_table(FRAME, path)
    assert path.read_text() == "precious"
    write_table(FRAME, path, force=True)
    pd.testing.assert_frame_equal(read_table(path), FRAME)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("precious")

    def full_disk(self, file, **_):
        file.write_text("half a ta")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_table(FRAME, path, force=True)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["t.csv"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_table(FRAME, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "must have a header line and rows, however: .*t.csv' is empty"),
        ("t.csv", b"\n\n", "No columns to parse"),
        ("t.csv", b"a,b\n", "at least one row, however: .*t.csv' has 0 rows"),
        ("t.csv", b"a,b,a\n1,2,3\n", "column names must differ, however: .* has 'a' more than once"),
        ("t.csv", b"a,b\n1,2,3\n4,5\n", "not a readable CSV file: .*; every row needs as many"),
        ("t.csv", b"a,b\n1,2\n4,5,6\n", "not a readable CSV file: .*; every row needs as many"),
        ("t.csv", b"a,b\n1,2,3\n4,5,6\n", "not a readable CSV file: .*; every row needs as many"),
        ("t.csv", b'a,b\n1,"2\n', "not a readable CSV file"),
        ("t.csv", b"a;b\n1;2\n", "separated by commas, however: the header of .* is 'a;b'"),
        ("t.csv", b"a\xe9,b\n1,2\n", "must be UTF-8 text"),
        ("t.csv", b"a,b\n\xe9,2\n", "must be UTF-8 text"),
        ("t.csv.gz", b"a,b\n1,2\n", "not a whole gzip file"),
        ("t.csv.gz", gzip.compress(b"a,b\n" + os.urandom(500).hex().encode() + b",1\n")[:-60], "not a whole gzip file"),
        ("t.parquet", b"PAR1 and no more", "not a readable Parquet file"),
        ("t.xlsx", b"PK", r"must be a file named \*.csv, \*.csv.gz, \*.parquet, however: .*t.xlsx"),
        ("csv", b"a\n1\n", r"must be a file named \*.csv"),
    ],
)
def test_unreadable_files_are_named_with_the_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(tmp_path / name)
    assert name in str(caught.value)


def test_truncated_parquet_is_refused(tmp_path):
    write_table(FRAME, tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        read_table(tmp_path / "t.parquet")


def test_parquet_with_equal_names_is_refused(tmp_path):
    table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"])
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="has 'a' more than once"):
        read_table(tmp_path / "t.parquet")


def test_byte_order_mark_of_spreadsheets_is_skipped(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["a", "b"]


def test_missing_file_and_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*t\.csv'; check the path"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_table(tmp_path / "t.csv")


def test_without_pyarrow_the_remedy_is_given(tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name))
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ImportError, match=r"needs pyarrow: pip install 'rungwise\[parquet\]'"):
        read_table(tmp_path / "t.parquet")
    with pytest.raises(ImportError, match=r"needs pyarrow: pip install 'rungwise\[parquet\]'"):
        write_table(FRAME, tmp_path / "new.parquet")


def test_output_needs_a_folder_that_can_be_written(tmp_path, monkeypatch):
    check_output(tmp_path / "model", force=False)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*; create it first"):
        check_output(tmp_path / "missing" / "model", force=True)
    with pytest.raises(IsADirectoryError, match="must be a file"):
        check_output(tmp_path, force=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # a user who may write everywhere may run this test
    with pytest.raises(PermissionError, match="read-only"):
        check_output(tmp_path / "model", force=True)
