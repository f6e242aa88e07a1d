"""SIGTERM and Ctrl-C reach a command, whatever it does at that moment."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these signals are POSIX's")

_LOST = """
import gc, os, signal, time
from hela_dask.tasks.interrupting import interrupt_at_signals

def end(phase, _):  # an error that it raises is lost
    if len(sent) < {times}:
        sent.append(phase)
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)

sent = []
interrupt_at_signals()
gc.callbacks.append(end)
try:
    for _ in range(100):
        gc.collect()
        time.sleep(0.1)
except KeyboardInterrupt:
    {then}
    time.sleep(0.5)
    print("interrupted")
"""
_AGAIN = "os.kill(os.getpid(), signal.SIGTERM)"  # ignored, as it is not the first
_IGNORED = """
import os, signal
from hela_dask.tasks.interrupting import interrupt_at_signals

signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupt_at_signals()
os.kill(os.getpid(), signal.SIGINT)
print("goes on")
"""


def _printed(code: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize(("name", "times", "then"), [("SIGTERM", 2, _AGAIN), ("SIGINT", 1, "pass")])
def test_a_signal_is_not_lost_while_garbage_is_collected(name: str, times: int, then: str) -> None:
    assert _printed(_LOST.format(name=name, times=times, then=then)) == ("interrupted\n", "")


def test_a_background_job_of_a_shell_ignores_ctrl_c() -> None:
    assert _printed(_IGNORED) == ("goes on\n", "")


def test_a_command_sets_both() -> None:
    code = (
        "import signal, sys\nfrom hela_dask.cli import main\n"
        "sys.argv = ['hela-dask', '--version']\nmain()\n"
        "print([signal.getsignal(n).__name__ for n in (signal.SIGINT, signal.SIGTERM)])"
    )
    assert _printed(code)[0].endswith("['interrupt', 'interrupt']\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
