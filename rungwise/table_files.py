"""Tables on disk: CSV and Parquet files in, whole files out, and errors that name the file and say what to do."""

import csv
import gzip
import importlib.util
import os
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

EXTENSIONS = (".csv", ".csv.gz", ".parquet")


def read_table(path: str | Path, text_columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV file (also gzipped) or a Parquet file; the extension says which.

    Parameters
    ----------
    path : str or Path
        A .csv, .csv.gz or .parquet file. CSV: UTF-8, separated by commas, one header line, empty cells are missing.
    text_columns : iterable of str
        Columns of a CSV file to be read as text even if all their cells look like numbers: "007" then stays "007".

    Returns
    -------
    DataFrame with at least one row and one column, and distinct column names

    Raises
    ------
    OSError
        If the file is missing, is a folder or cannot be read.
    ValueError
        If the extension is unknown, the file is empty or damaged, has no rows, or two columns have one name.
    ImportError
        If it is a Parquet file and pyarrow is not installed.
    """
    path = Path(path)
    extension = _extension(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the path")
    if path.is_dir():
        raise IsADirectoryError(f"the table must be a file, however: {str(path)!r} is a folder; name a file in it")
    if path.stat().st_size == 0:
        raise ValueError(f"the table must have a header line and rows, however: {str(path)!r} is empty")
    table = _read_parquet(path) if extension == ".parquet" else _read_csv(path, text_columns)
    if len(table) == 0:
        raise ValueError(f"the table must have at least one row, however: {str(path)!r} has 0 rows under its header")
    return table


def write_table(frame: pd.DataFrame, path: str | Path, force: bool = False) -> None:
    """Write a CSV file (also gzipped) or a Parquet file; the extension says which.

    The file appears whole or not at all: it is written beside its place and then renamed.

    Parameters
    ----------
    frame : DataFrame
        Its index is not written.
    path : str or Path
        A .csv, .csv.gz or .parquet file.
    force : bool
        Whether a file that exists is replaced.

    Raises
    ------
    OSError
        If the file exists and is not to be replaced, or its folder is missing or read-only.
    ValueError
        If the extension is unknown.
    ImportError
        If it is a Parquet file and pyarrow is not installed.
    """
    path = Path(path)
    check_table_output(path, force)
    extension = _extension(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        if extension == ".parquet":
            frame.to_parquet(unfinished, index=False)
        elif extension == ".csv.gz":
            # Without a name and the time of writing in it, equal tables are equal files.
            unfinished.write_bytes(gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
        else:
            frame.to_csv(unfinished, index=False)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def check_table_output(path: Path, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Raise what `write_table` would raise for this path, before the work that leads to the table is done."""
    if _extension(path) == ".parquet":
        _require_pyarrow(path)
    check_output(path, force, inputs)


def check_output(path: Path, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Raise an OSError unless a file can be written here.

    A file that exists may be replaced only with ``force``; an input, also by another name, or what is no regular file
    (a pipe, a device) never.
    """
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(f"the output must be a file, however: {str(path)!r} is a folder; name a file in it")
    if path.exists():
        if not path.is_file():
            raise OSError(f"the output must be a regular file, however: {str(path)!r} is a pipe or a device")
        for source in inputs:
            if source.exists() and path.samefile(source):
                raise OSError(f"the output must not be the input, however: {str(path)!r} is {str(source)!r}")
        if not force:
            raise FileExistsError(f"the file {str(path)!r} exists; name another one, or replace it with --force")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r} to write {path.name!r} to; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {str(folder)!r} is read-only; name an output in another one")


def _extension(path: Path) -> str:
    for extension in EXTENSIONS:
        if path.name.lower().endswith(extension):
            return extension
    raise ValueError(f"a table must be a file named {', '.join('*' + e for e in EXTENSIONS)}, however: {str(path)!r}")


def _read_csv(path: Path, text_columns: Iterable[str]) -> pd.DataFrame:
    try:
        names = _csv_header(path)
        if len(names) == 1 and any(separator in names[0] for separator in ";\t"):
            raise ValueError(
                f"columns must be separated by commas, however: the header of {str(path)!r} is {names[0]!r}"
            )
        _check_distinct(names, path)
        with warnings.catch_warnings():
            # A warning is all that pandas gives for a row with more cells than the header has.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                encoding="utf-8-sig",  # also without the mark that spreadsheets put first
                compression="gzip" if _extension(path) == ".csv.gz" else None,
                dtype=dict.fromkeys(text_columns, str),
                index_col=False,  # a row with too many cells must not turn the first column into an index
                low_memory=False,  # one type for a whole column, not one per chunk of it
            )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"a CSV file must be UTF-8 text, however: {str(path)!r} is not ({error}); save it again"
        ) from error
    except (csv.Error, pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f"{str(path)!r} is not a readable CSV file: {str(error).strip()}; every row needs as many cells as the "
            f"header"
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} is not a whole gzip file: {error}; make or copy it again") from error


def _csv_header(path: Path) -> list[str]:
    """Return the names as they stand in the file: pandas would rename the second of two equal ones."""
    opener = gzip.open if _extension(path) == ".csv.gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        return next((row for row in csv.reader(file) if row), [])


def _read_parquet(path: Path) -> pd.DataFrame:
    _require_pyarrow(path)
    import pyarrow
    import pyarrow.parquet

    try:
        _check_distinct(pyarrow.parquet.read_schema(path).names, path)
        return pd.read_parquet(path)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{str(path)!r} is not a readable Parquet file: {error}; write it again") from error


def _require_pyarrow(path: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError(f"the Parquet file {str(path)!r} needs pyarrow: pip install 'rungwise[parquet]', or use CSV")


def _check_distinct(names: list[str], path: Path) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        listing = ", ".join(map(repr, repeated[:10]))
        raise ValueError(f"column names must differ, however: {str(path)!r} has {listing} more than once; rename one")
