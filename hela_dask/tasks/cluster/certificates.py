"""The key and the certificate of one run, in files that only its user can read."""

from __future__ import annotations

from pathlib import Path

from distributed.security import Security

from hela_dask.errors import MissingDependencyError

__all__ = ["certificate_files", "make_certificates"]

_NAMES = ("ca_file", "cert", "key")


def make_certificates(folder: Path, hint: str = "") -> Security:
    """Make a key and a certificate for a run, in `folder`.

    `hint` follows the advice in the error. MissingDependencyError when cryptography is not
    installed.
    """
    try:
        made = Security.temporary()
    except ImportError as error:
        raise MissingDependencyError(
            "what workers and scheduler send each other is encrypted, which needs cryptography: "
            f"pip install 'hela_dask[hpc]'{hint}"
        ) from error
    for name, text in made.get_tls_config_for_role("worker").items():
        if text is not None:
            path = folder / f"{name}.pem"
            path.touch(mode=0o600, exist_ok=False)
            path.write_text(text, encoding="ascii")
    return certificate_files(folder)


def certificate_files(folder: Path) -> Security:
    """The security of a process that uses the certificate in `folder`."""
    files = {}
    for name in _NAMES:
        roles = ("",) if name == "ca_file" else ("client_", "scheduler_", "worker_")
        files.update({f"tls_{role}{name}": str(folder / f"{name}.pem") for role in roles})
    return Security(require_encryption=True, **files)
