"""``python -m hela_dask.environment``: the check where ``hela-dask`` itself does not start."""

from __future__ import annotations

import sys

from hela_dask.environment.doctor import doctor

if __name__ == "__main__":
    found = doctor()
    sys.stdout.write(f"{found!r}\n")
    sys.exit(0 if found.ok else 1)
