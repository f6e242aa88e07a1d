"""Synthetic volume EM with known truth, computed piece by piece, the same bits for any pieces."""

from __future__ import annotations

from hela_dask.phantom.block import phantom_block
from hela_dask.phantom.plan import KINDS, PhantomCell, PhantomSpec, plan_phantom
from hela_dask.phantom.write import make_phantom

__all__ = ["KINDS", "PhantomCell", "PhantomSpec", "make_phantom", "phantom_block", "plan_phantom"]
