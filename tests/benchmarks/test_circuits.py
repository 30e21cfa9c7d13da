import json

from benchmarks import circuits


def test_small_run_is_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(circuits, "N_INPUTS", 8)
    size = ["--neurons", "6", "--layers", "2", "--rows", "600", "--width", "64"]
    circuits.main([*size, "--output", str(tmp_path)])
    result = json.loads((tmp_path / "circuits.json").read_text())
    assert (result["neurons"], result["layers"], len(result["hints"])) == (6, 2, 2)
    assert len(result["error"]) == 5
    assert result["error"]["with 36 hints"] < 0.1
    assert "block 1: " in (printed := capsys.readouterr().out)
    assert "on fresh rows: hints, layer by layer, " in printed
