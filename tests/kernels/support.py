"""What kernel tests share: guarded and poisoned buffers, shape lists, value strategies, case checks."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st

from automl.kernels import table
from automl.kernels.cases import EXACT
from automl.kernels.cases import mismatch

#: Elements before and after every buffer that a test watches.
GUARD = 4096

#: A number of examples that keeps the interpreter within seconds; the same ones in every run.
few_examples = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

#: (rows, inner, columns): ones, odd, powers of two, just past a tile, no row at all.
SHAPES = (
    (1, 1, 1),
    (1, 16, 8),
    (3, 7, 5),
    (17, 33, 19),
    (2, 65, 31),
    (16, 64, 64),
    (33, 130, 47),
    (0, 24, 8),
)

#: Sentinel of types without NaN; neither a legal scale's nor a small product's value.
_SENTINEL = {
    torch.int8: -77,
    torch.uint8: 0xA7,
    torch.int16: -21555,
    torch.int32: -1431655766,
    torch.int64: -7,
}

matrix_shapes = st.tuples(st.integers(0, 35), st.integers(1, 140), st.integers(1, 70))
seeds = st.integers(0, 2**31 - 1)


def generator(seed: int) -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(seed)


def codes(shape, low: int, high: int, seed: int, dtype=torch.int8) -> torch.Tensor:
    """Return random integers in [low, high], both ends included, edges more often than their share."""
    g = generator(seed)
    values = torch.randint(low, high + 1, shape, generator=g)
    edge = torch.rand(shape, generator=g)
    values[edge < 0.05], values[edge > 0.95] = low, high
    return values.to(dtype)


def normal(shape, seed: int, dtype=torch.float32, scale: float = 1.0) -> torch.Tensor:
    """Return normal numbers."""
    return torch.randn(shape, generator=generator(seed)).mul_(scale).to(dtype)


def strided(x: torch.Tensor) -> torch.Tensor:
    """Return equal values whose memory has gaps in the last two axes, the gaps poisoned."""
    wide = poisoned((*x.shape[:-2], x.shape[-2] * 2, x.shape[-1] * 3), x.dtype)
    view = wide[..., ::2, ::3]
    view.copy_(x)
    return view


def gapped(value: object) -> object:
    """Return equal values whose memory has poisoned gaps along its axes; no tensor stays as it is."""
    if not isinstance(value, torch.Tensor) or value.dim() == 0 or value.numel() == 0:
        return value
    return strided(value[None])[0] if value.dim() == 1 else strided(value)


def poisoned(shape, dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor of NaN, or of a sentinel where the type has none."""
    if dtype in _SENTINEL:
        return torch.full(shape, _SENTINEL[dtype], dtype=dtype)
    return torch.full(shape, torch.nan, dtype=torch.float32).to(dtype)


def fenced(x: torch.Tensor) -> torch.Tensor:
    """Return contiguous values between two poisoned strips, so that a lost mask reads poison."""
    return _between(poisoned((x.numel() + 2 * GUARD,), x.dtype), x)


def fenced_places(x: torch.Tensor) -> torch.Tensor:
    """Return places of blocks between two strips of 0, the first place.

    What lies past the end of such a list is an address to who reads it; anything else than a place that is
    there would end the process instead of giving a wrong result.
    """
    return _between(torch.zeros((x.numel() + 2 * GUARD,), dtype=x.dtype), x)


def _between(flat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    inner = flat[GUARD : GUARD + x.numel()].view(x.shape)
    inner.copy_(x)
    return inner


@contextmanager
def guarded_outputs():
    """Poison what ``torch.empty`` returns and fail when anything was written outside of it.

    Yields:
        The list of (whole buffer, guard value) pairs, for tests of this very check.
    """
    made = []
    plain = torch.empty

    def empty(*size, dtype=None, device=None, **more):
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        kind = dtype or torch.float32
        if device is not None and torch.device(device).type != "cpu":
            return plain(shape, dtype=dtype, device=device, **more)
        whole = poisoned((torch.Size(shape).numel() + 2 * GUARD,), kind)
        made.append((whole, whole.clone()))
        return whole[GUARD : whole.numel() - GUARD].view(shape)

    with mock.patch.object(torch, "empty", empty):
        yield made
    for whole, before in made:
        for part in (slice(None, GUARD), slice(whole.numel() - GUARD, None)):
            same = mismatch(whole[part].float(), before[part].float(), bound=EXACT)
            assert same is None, f"written outside of an output of {whole.numel() - 2 * GUARD}: {same}"


def assert_served(kernel: str, implementation: str, arguments: dict, bound=EXACT) -> None:
    """Run one implementation with poisoned, guarded outputs and compare it with the reference."""
    refused = table.refusal(kernel, implementation, arguments)
    assert refused is None, refused
    expected = table.implementation(kernel, "reference")(**arguments)
    with guarded_outputs():
        result = table.implementation(kernel, implementation)(**arguments)
    assert mismatch(result, expected, bound) is None, mismatch(result, expected, bound)


def case_params(kernel: str):
    """Return the kernel's cases as pytest parameters."""
    return [pytest.param(case, id=case.name) for case in table.cases(kernel)]


def assert_cases(kernel: str, implementation: str, *, least: int) -> None:
    """Run every case that the implementation serves; at least ``least`` must be."""
    served = 0
    for case in table.cases(kernel):
        if table.refusal(kernel, implementation, case.arguments) is None:
            assert_served(kernel, implementation, case.arguments, case.bound_of(implementation))
            served += 1
    assert served >= least, f"only {served} cases are served"
