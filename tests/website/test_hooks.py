"""Roles of docstrings become links to public names, or the name alone."""

from __future__ import annotations

import pytest

from website.hooks import without_roles


@pytest.mark.parametrize(
    ("role", "target", "shown"),
    [
        (":func:<code>hela_dask.run</code>", "hela_dask.run", "run"),
        (":class:<code>~hela_dask.trace.Trace</code>", "hela_dask.Trace", "Trace"),
        (
            ":meth:<code>Parameters.to_toml</code>",
            "hela_dask.Parameters.to_toml",
            "Parameters.to_toml",
        ),
    ],
)
def test_a_public_name_is_a_link(role: str, target: str, shown: str) -> None:
    link = f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'
    assert without_roles(f"<p>See {role}.</p>") == f"<p>See {link}.</p>"


def test_another_name_is_code() -> None:
    role = "see :func:<code>hela_dask.phantom.plan_phantom</code>, <code>:func:</code>"
    assert without_roles(role) == "see <code>plan_phantom</code>, <code>:func:</code>"
