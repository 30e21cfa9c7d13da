"""The names that `import rungwise` offers."""

import subprocess
import sys

import pytest

import rungwise


@pytest.mark.parametrize("name", rungwise.__all__)
def test_every_public_name_is_there(name):
    assert getattr(rungwise, name) is not None
    assert name in dir(rungwise)


@pytest.mark.parametrize(
    "use", ["datasets.make_hierarchy", "model_selection.MaskedScorer", "teacher.Hints", "theory.HierarchicalModel"]
)
def test_subpackages_need_no_import_of_their_own(use):
    done = subprocess.run(
        [sys.executable, "-c", f"import rungwise; rungwise.{use}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'rungwise' has no attribute 'nonsense'"):
        _ = rungwise.nonsense
