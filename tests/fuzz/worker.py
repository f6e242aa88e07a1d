"""Tries hostile inputs on some readers; prints what did not end as it should, as JSON.

``python -m tests.fuzz.worker FOLDER SEED TARGET...``: a process of its own, whose memory is
limited: an input may take 1 GiB and a few seconds.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import signal
import sys
import time
import traceback
import warnings
import zlib
from pathlib import Path
from random import Random
from types import FrameType

from hela_dask.errors import HelaDaskError
from tests.fuzz.targets import TARGETS, Target, clean

SECONDS = 5
MEMORY = 2**30


class SlowError(BaseException):
    """An input that takes too long; no reader may catch it."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise SlowError


def limit_memory() -> None:
    """From now on this process may take 1 GiB more."""
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def try_target(name: str, target: Target, folder: Path, seed: int) -> dict[str, object]:
    """Outcomes of a target's inputs, and those that are neither an error of ours nor a read."""
    clean(folder)
    started = time.process_time()
    state = target.prepare(folder)
    outcomes: collections.Counter[str] = collections.Counter()
    wrong, longest = [], 0.0
    for number in range(target.inputs):
        random = Random(zlib.crc32(f"{seed} {name} {number}".encode()))
        target.write(folder, state, random)
        begun = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            target.read(folder)
            outcomes["read"] += 1
        except HelaDaskError as error:
            outcomes[type(error).__name__] += 1
            if "\n" in str(error) or len(str(error)) > 2000:
                text = repr(str(error)[:300])
                wrong.append(f"{name} {number}: the message is not a sentence: {text}")
        except BaseException as error:  # whatever else it is, it is a fault
            signal.setitimer(signal.ITIMER_REAL, 0)
            place = "".join(traceback.format_exception(error)[-4:])
            wrong.append(f"{name} {number}: {type(error).__name__}: {str(error)[:300]}\n{place}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        longest = max(longest, time.perf_counter() - begun)
    return {
        "outcomes": {"read": 0, **outcomes},
        "wrong": wrong,
        "longest": longest,
        "seconds": time.process_time() - started,
    }


def main() -> None:
    """Try the targets that were named."""
    folder, seed, *names = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    for name in names:  # what libraries reserve when they are first used does not count
        clean(Path(folder) / "in")
        TARGETS[name].prepare(Path(folder) / "in")
        with contextlib.suppress(HelaDaskError):
            TARGETS[name].read(Path(folder) / "in")
    limit_memory()
    found = {
        name: try_target(name, TARGETS[name], Path(folder) / "in", int(seed)) for name in names
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
