import json

import numpy as np

from benchmarks import depth


def test_chains_of_any_length_are_as_many_labels_and_learned_in_as_many_blocks(capsys):
    for levels in (4, 20):
        depth.main(["--quick", "--one", depth.SAME_SIZE, str(levels)])
        point = json.loads(capsys.readouterr().out)
        assert (point["labels"], point["blocks"], point["wrong values"]) == (80, levels, 0)


def test_slope_of_a_power_law_is_its_exponent():
    points = [{"series": "s", "blocks": b, "seconds": 0.01 * b**1.5, "fit bytes": 2.0**22} for b in (10, 20, 200)]
    slopes = depth.fitted_slopes(points, "s")
    np.testing.assert_allclose([slopes["seconds"], slopes["fit bytes"]], [1.5, 0], atol=1e-9)
