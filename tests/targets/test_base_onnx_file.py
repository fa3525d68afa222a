import numpy as np
import pytest

from automl.core.errors import ArtifactError
from automl.targets.base_onnx_file import load_base
from automl.targets.base_onnx_file import save_base


def test_a_stored_graph_is_the_same_graph(small, tmp_path):
    base = small.base
    save_base(tmp_path, base)
    again = load_base(tmp_path)
    assert again.to_model().SerializeToString() == base.to_model().SerializeToString()
    for name in ("uses", "values", "members", "unresolved", "dynamic_batch"):
        assert getattr(again, name) == getattr(base, name)
    assert all(np.array_equal(again.constants[n], a) for n, a in base.constants.items())


@pytest.mark.parametrize("file", ["skeleton.onnx", "constants.safetensors", "base.json"])
def test_a_damaged_or_missing_file_is_named_with_the_cure(small, tmp_path, file):
    save_base(tmp_path, small.base)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="export it again"):
        load_base(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ArtifactError, match="export it again"):
        load_base(tmp_path)
