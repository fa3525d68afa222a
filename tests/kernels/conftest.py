from __future__ import annotations

import pytest

from automl.kernels.native.library import WAYS
from automl.kernels.native.library import using


@pytest.fixture(params=WAYS)
def every_way(request):
    """Run a test with the compiled kernels, with their plain loops, and with torch's operators alone."""
    with using(request.param):
        yield request.param
