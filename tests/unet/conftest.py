"""Keras, imported by the first test that needs it and by no process that collects tests."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def keras() -> Any:
    """The library, which takes seconds to import; skips where it is not installed."""
    pytest.importorskip("onnx", reason="ONNX is not installed")
    return pytest.importorskip("keras", reason="TensorFlow is not installed")
