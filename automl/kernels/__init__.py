"""Low-bit and sparse operators: an exact reference, a Triton kernel and a CPU twin of each.

A folder is an operator: ``op.py`` validates and dispatches, ``reference.py`` is the definition in integer or
float64 arithmetic, ``triton_impl.py`` and ``cpu_impl.py`` are fast forms, ``cases.py`` is what ``check``
runs.
"""
