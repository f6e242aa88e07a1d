"""How pages look and what a click on a table or a picture does: the frame, CSS, a few lines."""

from __future__ import annotations

import base64
from html import escape

import hela_dask

__all__ = ["SCRIPT", "STYLE", "document", "figure"]

STYLE = """
:root { --ink: #1c2430; --soft: #5d6b7c; --line: #dfe5ec; --paper: #ffffff; --wash: #f5f7fa;
        --accent: #0b6e6e; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--wash); color: var(--ink); line-height: 1.5;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 0 24px 64px; }
header { background: linear-gradient(120deg, #0d2b3a, #0b6e6e); color: #fff; }
header > div { max-width: 1160px; margin: 0 auto; padding: 34px 24px 26px; }
h1 { margin: 0 0 4px; font-size: 29px; font-weight: 650; letter-spacing: -.01em; }
header p { margin: 0; color: #cfe3e6; overflow-wrap: anywhere; }
nav { margin-top: 18px; display: flex; flex-wrap: wrap; gap: 6px 18px; }
nav a { color: #fff; text-decoration: none; border-bottom: 1px solid #ffffff66; font-size: 14px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
          padding: 20px 24px 22px; margin-top: 20px; }
h2 { margin: 0 0 12px; font-size: 19px; font-weight: 620; }
h3 { margin: 18px 0 8px; font-size: 15px; color: var(--soft); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(134px, 1fr)); gap: 10px;
         margin-top: 20px; }
.tile { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
        padding: 14px 16px; }
.tile b { display: block; font-size: 21px; font-weight: 640; letter-spacing: -.01em;
          white-space: nowrap; }
.tile span { color: var(--soft); font-size: 13.5px; }
.warnings { border-left: 5px solid #d98a00; background: #fff9ec; }
.warnings ul { margin: 0; padding-left: 20px; }
.error { border-left: 5px solid #c62828; background: #fff1f0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
        font-variant-numeric: tabular-nums; }
th, td { padding: 6px 8px; text-align: right; border-bottom: 1px solid var(--line);
         vertical-align: top; }
td { white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child, .text { text-align: left; }
table.sortable { font-size: 13px; }
table.sortable th, table.sortable td { padding: 6px 5px; }
table.sortable th { cursor: pointer; user-select: none; }
table.sortable th:hover { color: var(--accent); }
th[aria-sort=ascending]::after { content: " \\2191"; }
th[aria-sort=descending]::after { content: " \\2193"; }
tbody tr:hover { background: #f2f8f8; }
td.reason, table.sortable th:last-child, table.sortable th:nth-child(2) { text-align: left; }
td.reason { color: var(--soft); min-width: 190px; font-size: 13px; white-space: normal; }
table.facts { width: auto; }
table.facts th { text-align: left; padding-left: 0; padding-right: 26px; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.facts th { white-space: nowrap; vertical-align: top; }
.badge { display: inline-block; border-radius: 20px; padding: 1px 10px; font-size: 12.5px;
         font-weight: 600; white-space: nowrap; background: #e8ecf1; color: #46525f; }
.ok { background: #d9f2e3; color: #0a6b36; }
.failed { background: #fbdcd9; color: #a31515; }
.too_close_to_edge, .no_resin { background: #fdeecb; color: #7c5200; }
.no_nucleus { background: #fde2cf; color: #8a3b00; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 16px; }
.gallery.wide { grid-template-columns: repeat(auto-fill, minmax(480px, 1fr)); align-items: start; }
figure { margin: 0; }
figure.large { grid-column: 1 / -1; }
figure img { width: 100%; display: block; border-radius: 6px; border: 1px solid var(--line);
             background: #fff; cursor: zoom-in; }
figure.large img { cursor: zoom-out; }
figcaption { color: var(--soft); font-size: 13.5px; margin-top: 5px; }
.one figure { max-width: 900px; }
.bar { background: #e6f0f0; border-radius: 4px; height: 13px; min-width: 180px; }
.bar i { display: block; height: 100%; border-radius: 4px; background: var(--accent); }
.note { color: var(--soft); font-size: 13.5px; margin: 8px 0 0; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr));
           gap: 8px 34px; }
.columns h3:first-child { margin-top: 4px; }
details { margin-top: 8px; }
summary { cursor: pointer; color: var(--accent); font-weight: 600; }
footer { color: var(--soft); font-size: 13px; margin-top: 22px; }
@media print {
  body { background: #fff; font-size: 11px; }
  header, .ok, .failed, .badge, .bar i { -webkit-print-color-adjust: exact;
    print-color-adjust: exact; }
  nav { display: none; }
  main, header > div { max-width: none; padding-left: 0; padding-right: 0; }
  header > div { padding: 14px 18px; }
  section { border: 0; padding: 6px 0; margin-top: 10px; }
  figure, tr, .tile { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  table { font-size: 10px; }
  th, td { padding: 3px 5px; }
  td.reason { min-width: 90px; font-size: 9.5px; }
  .scroll { overflow: visible; }
  .gallery { grid-template-columns: repeat(3, 1fr); }
  .gallery.wide { grid-template-columns: 1fr 1fr; }
  .columns { grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(96px, 1fr)); }
  .tile { padding: 8px 9px; }
  .tile b { font-size: 15px; }
}
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  }));
}
for (const image of document.querySelectorAll("figure img")) {
  image.addEventListener("click", () => image.parentElement.classList.toggle("large"));
}
"""


def document(title: str, subtitle: str, body: str, *, nav: str = "") -> str:
    """A whole page in one text: style and script are inside.

    Parameters
    ----------
    title : str
        Plain text.
    subtitle, body, nav : str
        HTML.
    """
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<header><div><h1>{escape(title)}</h1><p>{subtitle}</p>"
        f"<nav>{nav}</nav></div></header>"
        f"<main>{body}<footer>Written by hela_dask {escape(hela_dask.__version__)}. "
        "Lengths and volumes are physical; slices are counted from 1, the bottom one."
        f"</footer></main><script>{SCRIPT}</script></body></html>\n"
    )


def figure(picture: bytes, caption: str, title: str = "") -> str:
    """A picture (PNG or JPEG) inside the page, its caption, and perhaps a title in front of it."""
    mime = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(picture).decode("ascii")
    heading = f"<b>{escape(title)}</b><br>" if title else ""
    return (
        f'<figure><img alt="{escape(title or caption)}" src="data:image/{mime};base64,{data}">'
        f"<figcaption>{heading}{escape(caption)}</figcaption></figure>"
    )
