"""Roles of docstrings become links to public names, or the name alone; wrong types are left out."""

from __future__ import annotations

import pytest

from website.hooks import without_roles, without_shared_types


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


def _item(name: str, text: str) -> str:
    typed = '(<code><span title="str">str</span></code>, default: <code>f(1)</code> )'
    description = f'<div class="doc-md-description">\n<p>{text}</p>\n</div>'
    return f"<li>\n<b><code>{name}</code></b>\n {typed}\n –\n {description}</li>"


def test_a_type_is_left_out_where_parameters_share_it() -> None:
    html = _item("out", "As in <code>run</code>.") + _item("size", "A size.")
    shown = without_shared_types(html)
    assert shown.count("default:") == 1
    assert "<b><code>out</code></b>\n –\n" in shown
    assert _item("size", "A size.") in shown
