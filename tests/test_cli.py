import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import rungwise
import rungwise.table_files
from rungwise.cli import Effort, Features, _print_ladder, main
from rungwise.effort import EFFORTS
from rungwise.features import FEATURE_MAPS


@pytest.fixture
def command(capsys, monkeypatch):
    """Run the command in this process; returns its exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rungwise", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return SimpleNamespace(code=exit_.value.code or 0, out=captured.out, err=captured.err)

    return run


def training_table(n_rows=60):
    """Return categories, missing values, codes with leading zeros, and labels of which one is annotated in part."""
    generator = np.random.default_rng(0)
    age = generator.integers(20, 80, size=n_rows).astype(float)
    table = pd.DataFrame(
        {
            "age": np.where(generator.random(n_rows) < 0.1, np.nan, age),
            "eye": generator.choice(["blue", "brown"], size=n_rows),
            "code": generator.choice(["001", "002", "none of these"], size=n_rows),
            "site": generator.choice(["n", "s", "e"], size=n_rows),
            "w": generator.choice([1.0, 2.0], size=n_rows),
        }
    )
    table["y_old"] = (age > 50).astype(int)
    table["y_blue"] = table["eye"] == "blue"
    table["y_both"] = pd.Series(np.where(table["y_old"] & table["y_blue"], 1, -1)).where(np.arange(n_rows) % 5 > 0)
    return table


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a table and the model that the command trained on it; tests must not write there."""
    folder = tmp_path_factory.mktemp("trained")
    training_table().to_csv(folder / "table.csv", index=False)
    arguments = "fit table.csv --labels y_* --drop w --drop site -o model.rungwise --max-depth 2 --seed 0"
    environment = {**os.environ, "PYTHONWARNINGS": "error", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", "from rungwise.cli import main; main()", *arguments.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "printed.txt").write_text(done.stdout)
    return folder


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    training_table().to_csv(path, index=False)
    return path


def test_fit_prints_the_ladder_and_where_the_model_is(trained):
    printed = (trained / "printed.txt").read_text()
    for label in ("y_old", "y_blue", "y_both"):
        assert re.search(rf"{label} .* \d\.\d\d\d", printed)
    assert "Saved the model to model.rungwise" in printed


def test_model_is_that_of_the_estimator(trained):
    frame = training_table()
    model = rungwise.load(trained / "model.rungwise")
    assert list(model.label_names_) == ["y_old", "y_blue", "y_both"]
    assert list(model.feature_names_in_) == ["age", "eye", "code"]
    labels = frame[["y_old", "y_blue", "y_both"]].astype(float).replace(-1, 0)
    same = rungwise.RungwiseClassifier(max_depth=2, random_state=0).fit(frame[["age", "eye", "code"]], labels)
    np.testing.assert_allclose(
        model.predict_proba(frame[["age", "eye", "code"]]), same.predict_proba(frame[["age", "eye", "code"]])
    )


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_predictions_are_those_of_the_estimator_in_the_order_of_the_rows(command, trained, tmp_path, name):
    model = rungwise.load(trained / "model.rungwise")
    frame = training_table()[["age", "eye", "code"]]
    result = command("predict", trained / "model.rungwise", trained / "table.csv", "-o", tmp_path / name)
    assert (result.code, result.err) == (0, "")
    assert "Wrote predictions for 60 rows" in result.out
    written = rungwise.table_files.read_table(tmp_path / name)
    assert list(written.columns) == ["y_old", "y_blue", "y_both"]
    np.testing.assert_array_equal(written, model.predict(frame))
    assert set(np.unique(written)) <= {0, 1}


def test_probabilities_on_request(command, trained, tmp_path):
    model = rungwise.load(trained / "model.rungwise")
    table = trained / "table.csv"
    result = command("predict", trained / "model.rungwise", table, "-o", tmp_path / "out.csv", "--proba")
    assert (result.code, result.err) == (0, "")
    expected = model.predict_proba(training_table()[["age", "eye", "code"]])
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv"), expected, rtol=1e-6)


def test_codes_with_leading_zeros_stay_text_at_predict(command, trained, tmp_path):
    """Alone in a CSV file, 001 and 002 look like numbers: then no category of training would match."""
    frame = training_table()
    numeric = frame["code"] != "none of these"
    frame[numeric].to_csv(tmp_path / "some.csv", index=False)
    result = command("predict", trained / "model.rungwise", tmp_path / "some.csv", "-o", tmp_path / "o.csv", "--proba")
    assert (result.code, result.err) == (0, "")
    expected = rungwise.load(trained / "model.rungwise").predict_proba(frame[["age", "eye", "code"]])[numeric]
    np.testing.assert_allclose(pd.read_csv(tmp_path / "o.csv"), expected, rtol=1e-6)


def test_levels_prints_every_label_once_with_what_it_stands_on(command, trained):
    result = command("levels", trained / "model.rungwise")
    assert (result.code, result.err) == (0, "")
    frame = rungwise.load(trained / "model.rungwise").hierarchy_.to_frame()
    for row in frame.itertuples():
        (line,) = [line for line in result.out.splitlines() if re.match(rf"\W*{row.label}\b", line)]
        assert (row.formula or ", ".join(row.parents))[:10] in line


def test_long_formulas_and_parents_fold_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parents = [f"a_rather_long_name_of_label_{k}" for k in range(30)]
    ladder = pd.DataFrame(
        {
            "label": ["settled", "stands"],
            "level": [1, 2],
            "parents": [["x"], parents],
            "formula": [f"and({', '.join(parents)})", ""],
            "honest_error": [0.0, 0.1],
            "frequency_error": [0.5, 0.4],
        }
    )
    _print_ladder(ladder)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in printed
    for name in parents:
        assert len(re.findall(rf"{name}\b", printed)) == 2


def test_missing_feature_columns_are_named(command, trained, table, tmp_path):
    training_table().drop(columns=["eye", "code"]).to_csv(table, index=False)
    result = command("predict", trained / "model.rungwise", table, "-o", tmp_path / "out.csv")
    assert result.code == 1
    assert re.fullmatch(r"Error: the table must have the feature .*table\.csv' lacks 'eye', 'code'; .*\n", result.err)
    assert not (tmp_path / "out.csv").exists()


def test_text_in_a_column_of_numbers_is_refused_in_one_line(command, trained, table, tmp_path):
    training_table().astype({"age": object}).fillna({"age": "unknown"}).to_csv(table, index=False)
    result = command("predict", trained / "model.rungwise", table, "-o", tmp_path / "out.csv")
    assert result.code == 1
    assert "Error: column 'age' must hold numbers as in training" in result.err
    assert result.err.count("\n") == 1


def test_existing_output_is_kept_without_force(command, trained, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("precious")
    arguments = ("predict", trained / "model.rungwise", trained / "table.csv", "-o", out)
    result = command(*arguments)
    assert (result.code, result.err) == (
        1,
        f"Error: the file {str(out)!r} exists; name another one, or replace it with --force\n",
    )
    assert out.read_text() == "precious"
    assert command(*arguments, "--force").code == 0
    assert list(pd.read_csv(out).columns) == ["y_old", "y_blue", "y_both"]


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["same name", "symbolic link", "hard link"])
@pytest.mark.parametrize("subcommand", ["fit", "predict"])
def test_output_is_never_the_input(command, trained, table, tmp_path, subcommand, link):
    before, output = table.read_bytes(), table
    if link:
        output = tmp_path / "other.csv"
        link(table, output)
    arguments = (
        ("fit", table, "--labels", "y_*") if subcommand == "fit" else ("predict", trained / "model.rungwise", table)
    )
    result = command(*arguments, "-o", output, "--force")
    assert result.code == 1
    assert re.fullmatch(r"Error: the output must not be the input.*\n", result.err)
    assert table.read_bytes() == before


@pytest.mark.parametrize("subcommand", ["fit", "predict"])
def test_output_is_never_a_pipe(command, trained, table, tmp_path, subcommand):
    os.mkfifo(tmp_path / "pipe.csv")
    arguments = (
        ("fit", table, "--labels", "y_*") if subcommand == "fit" else ("predict", trained / "model.rungwise", table)
    )
    result = command(*arguments, "-o", tmp_path / "pipe.csv", "--force")
    assert result.code == 1
    assert re.fullmatch(r"Error: the output must be a regular file.*pipe\.csv.*\n", result.err)
    assert (tmp_path / "pipe.csv").is_fifo()


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100], ids=["empty", "text", "zeros"])
@pytest.mark.parametrize("subcommand", ["predict", "levels"])
def test_foreign_model_files_are_refused(command, table, tmp_path, subcommand, content):
    model = tmp_path / "model.rungwise"
    model.write_bytes(content)
    result = command(subcommand, model, *((table, "-o", tmp_path / "out.csv") if subcommand == "predict" else ()))
    assert result.code == 1
    assert re.fullmatch(r"Error: .*model\.rungwise.*\n", result.err)


def test_missing_model_is_refused(command, tmp_path):
    result = command("levels", tmp_path / "nowhere.rungwise")
    assert result.code == 1
    assert re.fullmatch(r"Error: there is no model file '.*nowhere\.rungwise'; check the path\n", result.err)
    assert re.match("Error: a model is a file", command("levels", tmp_path).err)


@pytest.fixture
def fits(monkeypatch):
    """Record the calls of the estimator's fit, and end each as Ctrl-C would."""
    calls = []

    def record(self, X, Y, sample_weight=None, groups=None):
        calls.append(SimpleNamespace(model=self, X=X, Y=Y, sample_weight=sample_weight, groups=groups))
        raise KeyboardInterrupt

    monkeypatch.setattr(rungwise.RungwiseClassifier, "fit", record)
    return calls


def test_options_reach_the_estimator(command, fits, table, tmp_path):
    options = "--labels y_o* --labels y_blue --drop y_both --weight w --group site --features random --max-depth 3"
    options += " --effort low --coherent --seed 7 --device cpu --quiet"
    command("fit", table, *options.split(), "-o", tmp_path / "m")
    (call,) = fits
    frame = training_table()
    assert list(call.X.columns) == ["age", "eye", "code"]
    assert list(call.Y.columns) == ["y_old", "y_blue"]
    np.testing.assert_array_equal(call.sample_weight, frame["w"])
    np.testing.assert_array_equal(call.groups, frame["site"])
    parameters = call.model.get_params()
    expected = {"features": "random", "max_depth": 3, "random_state": 7, "device": "cpu", "verbose": 0}
    expected |= {"effort": "low", "coherent": True}
    assert {name: parameters[name] for name in expected} == expected
    assert type(parameters["effort"]) is str


def test_parameters_are_the_estimators_unless_given(command, fits, table, tmp_path):
    command("fit", table, "--labels", "y_*", "-o", tmp_path / "m")
    given = {"verbose": 1}
    assert fits[0].model.get_params() == {**rungwise.RungwiseClassifier().get_params(), **given}
    assert fits[0].sample_weight is None
    assert fits[0].groups is None


def test_interrupted_fit_exits_130_and_leaves_no_file(command, fits, table, tmp_path):
    result = command("fit", table, "--labels", "y_*", "-o", tmp_path / "m")
    assert result.code == 130
    assert os.listdir(tmp_path) == ["table.csv"]


def test_quiet_fit_prints_nothing(command, table, tmp_path):
    result = command("fit", table, "--labels", "y_*", "--max-depth", 1, "--quiet", "-o", tmp_path / "m")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (tmp_path / "m").exists()


def test_fit_replaces_a_model_only_when_forced(command, table, tmp_path):
    (tmp_path / "m").write_text("precious")
    arguments = ("fit", table, "--labels", "y_*", "--max-depth", 1, "--quiet", "-o", tmp_path / "m")
    result = command(*arguments)
    assert result.code == 1
    assert re.fullmatch(r"Error: the file .* exists; .* --force\n", result.err)
    assert (tmp_path / "m").read_text() == "precious"
    assert command(*arguments, "--force").code == 0
    assert rungwise.load(tmp_path / "m").label_names_ is not None


def test_unusable_device_is_named(command, table, tmp_path):
    result = command("fit", table, "--labels", "y_*", "-o", tmp_path / "m", "--device", "nonsense")
    assert result.code == 1
    assert re.fullmatch(r"Error: device must be .*'nonsense'.*\n", result.err)


@pytest.mark.parametrize(
    "options",
    ["--max-depth 0", "--max-depth two", "--features nonsense", "--effort most", "--seed -1", f"--seed {2**32}"],
)
def test_unusable_options_are_named_as_the_command_calls_them(command, table, tmp_path, options):
    option, value = options.split()
    result = command("fit", table, "--labels", "y_*", "-o", tmp_path / "m", option, value)
    assert result.code == 2
    assert f"'{option}'" in result.err
    assert not (tmp_path / "m").exists()


def test_features_and_efforts_are_those_of_the_estimator():
    assert set(Features) == {"auto", *FEATURE_MAPS}
    assert tuple(Effort) == EFFORTS


def test_coherent_model_is_saved(command, tmp_path):
    age = np.arange(100)
    frame = pd.DataFrame({"age": age, "y_old": age > 50, "y_very": age > 80})
    frame.astype(int).to_csv(tmp_path / "t.csv", index=False)
    options = "--labels y_* --coherent --effort low --max-depth 1 --quiet"
    assert command("fit", tmp_path / "t.csv", *options.split(), "-o", tmp_path / "m").code == 0
    model = rungwise.load(tmp_path / "m")
    assert model.implications_ == [("y_very", "y_old")]
    assert model.effort == "low"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("table.csv --labels y_* -o missing/m", r"there is no folder 'missing' .*; create it first"),
        ("table.csv --labels y_* -o .", r"the output must be a file"),
        ("nowhere.csv --labels y_* -o m", r"there is no file 'nowhere\.csv'; check the path"),
        (". --labels y_* -o m", r"a table must be a file named \*\.csv"),
        ("table.csv --labels Y_* -o m", r"no column matches 'Y_\*'; the columns are 'age', .*"),
        ("table.csv --labels y_olds -o m", r"no column matches 'y_olds'; near names: 'y_old'"),
        ("table.csv --labels * -o m", r"at least one column must be left as a feature"),
        ("table.csv --labels eye -o m", r"label column 'eye' must hold 0/1, .* it holds '(blue|brown)'"),
        ("table.csv --labels age -o m", r"label column 'age' must hold 0/1, "),
        ("table.csv --labels y_* --weight eye -o m", r"weight column 'eye' must hold numbers"),
        ("table.csv --labels y_* --group sit -o m", r"no column is named 'sit'; near names: 'site'"),
        ("ragged.csv --labels y_* -o m", r"'ragged\.csv' is not a readable CSV file"),
        ("header.csv --labels y_* -o m", r"the table must have at least one row, however: 'header\.csv' has 0 rows"),
    ],
)
def test_bad_input_is_one_line_before_any_training(command, table, monkeypatch, arguments, message):
    monkeypatch.chdir(table.parent)
    (table.parent / "ragged.csv").write_text("x,y_a\n1,0\n2,1,1\n")
    (table.parent / "header.csv").write_text("x,y_a\n")
    result = command("fit", *arguments.split())
    assert result.code == 1
    assert result.out == ""
    assert re.match(f"Error: {message}", result.err)
    assert result.err.count("\n") == 1
    assert not (table.parent / "m").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "fit table.csv -o m",
        "fit --labels y",
        "predict m",
        "climb",
        "--nope",
    ],
)
def test_bad_usage_exits_2(command, arguments):
    result = command(*arguments.split())
    assert result.code == 2
    assert "Usage: rungwise" in result.err


def test_missing_optional_dependency_is_one_line(command, tmp_path, monkeypatch):
    monkeypatch.setattr(rungwise.table_files.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    result = command("fit", tmp_path / "t.parquet", "--labels", "y", "-o", tmp_path / "m")
    assert result.code == 1
    assert re.fullmatch(r"Error: .*pip install 'rungwise\[parquet\]'.*\n", result.err)


def test_our_own_mistakes_keep_their_traceback(monkeypatch, table):
    def fail(path):
        raise RuntimeError("a bug")

    monkeypatch.setattr(rungwise.table_files, "read_table", fail)
    monkeypatch.setattr(sys, "argv", ["rungwise", "fit", str(table), "--labels", "y", "-o", str(table.parent / "m")])
    with pytest.raises(RuntimeError, match="a bug"):
        main()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("rungwise-demo", False)),
        (["-o", "elsewhere"], ("elsewhere", False)),
        (["--force"], ("rungwise-demo", True)),
    ],
)
def test_demo_runs_in_a_folder(command, monkeypatch, arguments, expected):
    calls = []
    fake = SimpleNamespace(run=lambda path, force: calls.append((str(path), force)))
    monkeypatch.setitem(sys.modules, "rungwise.demo", fake)
    assert command("demo", *arguments).code == 0
    assert calls == [expected]


def test_paper_runs_the_scripts_of_the_checkout(command, monkeypatch, tmp_path):
    called = []
    monkeypatch.setattr("paper.__main__.run", lambda **options: called.append(options))
    assert command("paper", "--quick", "--only", "levels", "--only", "growth", "-o", tmp_path).code == 0
    assert called == [{"quick": True, "only": ["levels", "growth"], "output": tmp_path}]


def test_paper_without_a_checkout_is_refused(command, monkeypatch, tmp_path):
    monkeypatch.setattr("rungwise.cli.__file__", str(tmp_path / "site" / "rungwise" / "cli.py"))
    monkeypatch.chdir(tmp_path)
    result = command("paper")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "needs a checkout" in result.err


def test_unknown_claim_of_the_paper_is_refused(command):
    result = command("paper", "--only", "nothing")
    assert result.code == 1
    assert "must be one of" in result.err


def test_version(command):
    result = command("--version")
    assert (result.code, result.out) == (0, f"rungwise {rungwise.__version__}\n")


def test_help_does_not_load_what_only_training_needs():
    code = (
        "import sys; sys.argv = ['rungwise', '--help']\n"
        "from rungwise.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'pandas', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("fit", "predict", "levels", "demo"):
        assert re.search(rf"^ +{command} ", done.stdout, flags=re.MULTILINE)


def test_value_prints_and_writes_a_row_for_each_other_label(command, table, tmp_path):
    arguments = "--labels y_* --drop w --drop site --target y_both --folds 2 --features linear --seed 0 --quiet"
    result = command("value", table, *arguments.split(), "-o", tmp_path / "out.csv")
    assert (result.code, result.err) == (0, "")
    assert "error of y_both" in " ".join(result.out.split())
    assert sorted(pd.read_csv(tmp_path / "out.csv")["label"]) == ["y_blue", "y_old"]
