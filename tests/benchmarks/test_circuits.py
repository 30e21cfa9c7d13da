import json

from benchmarks import circuits


def test_quick_run_is_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(circuits, "QUICK_SIZE", (6, 2, 600, 64))
    monkeypatch.setattr(circuits, "N_INPUTS", 8)
    circuits.main(["--quick", "--output", str(tmp_path)])
    result = json.loads((tmp_path / "circuits.json").read_text())
    assert (result["d"], result["layers"], len(result["hints"])) == (6, 2, 2)
    assert len(result["error"]) == 5
    assert result["error"]["with 36 hints"] < 0.1
    assert "block 1: " in (printed := capsys.readouterr().out)
    assert "on fresh rows: hints, layer by layer, " in printed
