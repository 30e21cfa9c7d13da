from benchmarks import duals
from rungwise.fitting import newton


def test_quick_run_has_a_row_for_each_share(capsys):
    duals.main(["--quick"])
    printed = capsys.readouterr().out
    assert all(f"{share:.0%}" in printed for share in duals.MISSING)


def test_what_is_compared_is_with_and_without_duals(monkeypatch):
    take, n_steps = newton._newton_step, {True: 0, False: 0}
    objective = duals.make_objective(60, 0.7)
    for by_duals in n_steps:

        def count(*args, by_duals=by_duals):
            n_steps[by_duals] += 1
            return take(*args)

        monkeypatch.setattr(newton, "_newton_step", count)
        duals.seconds(objective, by_duals)
    # With duals, the constants alone are left to Newton's method.
    assert n_steps[True] <= duals.N_FOLDS + 1 < n_steps[False]
