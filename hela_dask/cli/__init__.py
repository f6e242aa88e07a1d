"""The command ``hela-dask``: reads arguments, calls the API once, prints the result."""

from __future__ import annotations

import shlex
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import typer

from hela_dask.cli import (
    assign,
    cluster,
    compare,
    doctor,
    explain,
    export,
    figure,
    measure,
    meshes,
    pipeline,
    predict,
    sample,
    scene,
    scores,
    status,
    train,
    verify,
    view,
    volumes,
)
from hela_dask.cli.faults import end_with, expected, remember, silence_stdout
from hela_dask.cli.screen import ReaderGoneError, echo, echo_error
from hela_dask.errors import ClusterError, HelaDaskError
from hela_dask.tasks.interrupting import interrupt_at_signals
from hela_dask.version import __version__

__all__ = ["app", "main"]

INTERRUPTED = 130
_RUNNER = ("--cluster", "runner")
CONTINUED = (
    "convert",
    "run",
    "detect",
    "demo",
    "train",
    "predict",
    "assign",
    "measure",
    "sample",
)  # commands that continue after an interruption

app = typer.Typer(
    name="hela-dask",
    help="Segment every cell and nucleus of a volume-EM stack, larger than memory.",
    epilog="Example: hela-dask run --help",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"hela-dask {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that need no command."""


for _command in (
    sample.sample,
    volumes.convert,
    volumes.info,
    pipeline.plan,
    pipeline.run,
    pipeline.detect,
    status.status,
    scores.evaluate,
    train.train,
    predict.predict,
    assign.assign,
    measure.measure,
    export.export,
    view.view,
    pipeline.report,
    verify.verify,
    meshes.meshes,
    scene.scene,
    figure.figure,
    explain.explain,
    compare.compare,
    pipeline.params,
    volumes.phantom,
    pipeline.demo,
    doctor.doctor,
):
    app.command()(remember(_command))
app.add_typer(cluster.app, name="cluster")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every error becomes one sentence on stderr, never a traceback.

    A bug of the program is written to a log file, which the sentence names; with ``--verbose`` its
    traceback is shown as well.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments after ``hela-dask``; default: the process' own arguments.

    Returns
    -------
    int
        0 done; 1 bad input, nothing to do, or a fault; 3 finished, but some cells failed; 130
        interrupted.
    """
    own_process = arguments is None
    if own_process and not sys.warnoptions:
        warnings.simplefilter("ignore")  # a library's warnings, for programmers
    if own_process:
        interrupt_at_signals()
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if "--cluster=runner" in arguments or _RUNNER in pairwise(arguments):
            from hela_dask.tasks.cluster.runner import enter_allocation

            enter_allocation()
        code = _run(arguments)
        if code == INTERRUPTED and own_process:
            # After a second Ctrl-C some resources fail to close as the process ends.
            sys.unraisablehook = _ignore
        return code
    except ReaderGoneError:
        silence_stdout()
        return 0
    except ClusterError as error:
        echo_error(f"{error} ({shlex.join(['hela-dask', *arguments])})")
    except HelaDaskError as error:
        echo_error(str(error))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else f"hela-dask {arguments[0]}"
        echo_error(f"{error.format_message().rstrip('.')} (see {command} --help)")
    except Exception as error:
        if sentence := expected(error):
            echo_error(sentence)
        else:
            end_with(error, arguments)
    return 1


def _run(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="hela-dask", standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        more = "; the same command again continues where this one stopped"
        echo_error("interrupted" + (more if arguments[0] in CONTINUED else ""))
    return code if isinstance(code, int) else 0


def _ignore(_: object) -> None:
    """Ignore an error while the process ends."""
