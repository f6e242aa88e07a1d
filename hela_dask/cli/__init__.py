"""The command ``hela-dask``: reads arguments, calls the API once, prints the answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import hela_dask
from hela_dask.cli import explain, pipeline, plan, predict, scores, train, volumes
from hela_dask.cli.screen import answer, complain
from hela_dask.errors import HelaDaskError

__all__ = ["app", "main"]

INTERRUPTED = 130
CONTINUED = (
    "convert",
    "run",
    "detect",
    "demo",
    "train",
    "predict",
)  # commands that take up where they stopped

app = typer.Typer(
    name="hela-dask",
    help="Segment every cell and nucleus of a volume-EM stack, larger than memory.",
    epilog="Example: hela-dask run --help",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        answer(f"hela-dask {hela_dask.__version__}")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options that need no command."""


for _command in (
    volumes.convert,
    volumes.info,
    plan.plan,
    pipeline.run,
    pipeline.detect,
    scores.evaluate,
    train.train,
    predict.predict,
    pipeline.report,
    explain.explain,
    pipeline.params,
    volumes.phantom,
    pipeline.demo,
):
    app.command()(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; bad input becomes one sentence on stderr, never a traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``hela-dask``; default: the process' own arguments.

    Returns
    -------
    int
        0 done; 1 bad input or nothing to do; 3 finished, but some cells failed; 130 interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = app(arguments, prog_name="hela-dask", standalone_mode=False)
    except HelaDaskError as error:
        complain(str(error))
        return 1
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else f"hela-dask {arguments[0]}"
        complain(f"{error.format_message().rstrip('.')} (see {command} --help)")
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        complain(f"{error.filename}: {error.strerror}")
        return 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        more = "; the same command again continues where this one stopped"
        complain("interrupted" + (more if arguments[0] in CONTINUED else ""))
    return code if isinstance(code, int) else 0
