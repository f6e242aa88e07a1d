"""``python -m hela_dask`` is the command ``hela-dask``."""

from __future__ import annotations

import sys

from hela_dask.cli import main

sys.exit(main())
