import json
from types import SimpleNamespace

import pytest

from paper import _run
from paper.__main__ import main, run


def stub_claim(value=0.5):
    """Return a claim that measures nothing."""

    def measure(quick, seed, report):
        report("the one thing")
        return {"value": value, "seed": seed, "quick": quick}

    def draw(result, figure):
        figure.subplots().plot([result["value"]])

    return SimpleNamespace(TITLE="A stub", measure=measure, draw=draw, describe=lambda result: f"It is {result}.")


def test_claims_are_the_modules_without_an_underscore():
    assert {"levels", "growth", "positions"} <= set(_run.claim_names())
    for name in _run.claim_names():
        claim = _run.find_claim(name)
        assert claim.TITLE
        assert claim.__doc__
        assert all(callable(getattr(claim, part)) for part in ("measure", "draw", "describe"))


def test_files_of_a_claim(tmp_path):
    shown = []
    outcome = _run.run_claim("stub", stub_claim(), tmp_path / "new", quick=True, seed=3, report=shown.append)
    content = json.loads((tmp_path / "new" / "stub.json").read_text())
    assert shown == ["the one thing"]
    assert content["result"] == {"value": 0.5, "seed": 3, "quick": True}
    assert content["seed"] == 3
    assert set(content["versions"]) == {"python", "torch", "rungwise"}
    assert outcome.paragraph in (tmp_path / "new" / "stub.md").read_text()
    assert (tmp_path / "new" / "stub.png").is_file() == outcome.drawn


def test_nan_is_no_result(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        _run.run_claim("stub", stub_claim(float("nan")), tmp_path, quick=True, seed=0, report=print)
    assert not list(tmp_path.iterdir())


def test_command_runs_the_named_claims_in_turn(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("paper.__main__.find_claim", lambda name: stub_claim(name))
    run(quick=True, only=["levels", "growth"], output=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"levels.json", "levels.md", "growth.json", "growth.md"}
    printed = capsys.readouterr().out
    assert printed.index("levels") < printed.index("growth")


def test_unknown_claim_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "nothing"])
    with pytest.raises(ValueError, match=r"must be one of .*levels"):
        run(only=["nothing"])
