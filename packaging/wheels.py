"""Build the source distribution and the wheel of a commit: the same bytes on each machine.

``python packaging/wheels.py --out dist`` needs git and setuptools. It builds from the files of the
last commit alone, not from those that lie in the folder. All times are that of the commit, or
``SOURCE_DATE_EPOCH``; owners and permissions are the same everywhere.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]  # setuptools changes the arguments
print(build_meta.build_sdist(out))
print(build_meta.build_wheel(out))
"""


def main() -> None:
    """Build both, and print the SHA-256 of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder; default: dist")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "made"
        _export(source, when)
        made.mkdir()
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
        command = [sys.executable, "-c", _BUILD, str(made)]
        done = subprocess.run(
            command, cwd=source, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        for path in sorted(made.iterdir()):
            content = path.read_bytes()
            if path.name.endswith(".tar.gz"):
                content = _normalised(content, when)
            (out / path.name).write_bytes(content)
            print(hashlib.sha256(content).hexdigest(), out / path.name)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def _export(folder: Path, when: int) -> None:
    """The files of the last commit, with one time and the permissions 644 or 755."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
            os.utime(path, (when, when))


def _normalised(content: bytes, when: int) -> bytes:
    """An archive in order, with one time and no owners; setuptools keeps those that it finds."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as before,
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=when) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in sorted(before.getmembers(), key=lambda member: member.name):
            member.mtime, member.pax_headers = when, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            after.addfile(member, before.extractfile(member) if member.isreg() else None)
    return packed.getvalue()


if __name__ == "__main__":
    main()
