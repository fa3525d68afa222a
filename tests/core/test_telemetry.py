from __future__ import annotations

import subprocess
import sys

CODE = """
from automl.core.telemetry import forbid_openvino_telemetry
forbid_openvino_telemetry()
import openvino, sys
from openvino.tools.ovc import telemetry
print(type(telemetry).__module__)
"""


def test_openvino_gets_its_stub_instead_of_the_sender():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
