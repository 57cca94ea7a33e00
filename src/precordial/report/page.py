"""The pieces of an HTML page that needs nothing but itself: no script, no network, light and dark, and paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from precordial.report.table import Table


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its anchor.
        title: plain text.
        body: HTML.
    """

    key: str
    title: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole document.

    Args:
        title: plain text.
        lead: HTML between the title and the table of contents.
        sections: in order.
    """
    contents = "\n".join(f'<li><a href="#{part.key}">{escape(part.title)}</a></li>' for part in sections)
    parts = "\n".join(
        f'<section id="{part.key}">\n<h2>{escape(part.title)}</h2>\n{part.body}\n</section>' for part in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{CSS.strip()}
</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{lead}
</header>
<nav aria-label="Contents">
<ol>
{contents}
</ol>
</nav>
<main>
{parts}
</main>
</body>
</html>
"""


def paragraphs(text: str) -> str:
    """Plain text as paragraphs; an empty line parts them, a line break stays one."""
    return "\n".join(f'<p class="text">{escape(part.strip())}</p>' for part in text.split("\n\n") if part.strip())


def bullets(items: Iterable[str]) -> str:
    """Plain texts as a list."""
    return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in items) + "\n</ul>"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """(what, how) as a list of terms."""
    return "<dl>\n" + "\n".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs) + "\n</dl>"


def figure(svg: str, caption: str) -> str:
    """A drawing with its caption (plain text)."""
    return (
        f'<figure>\n<div class="card" tabindex="0" role="group" aria-label="Figure">{svg}</div>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
    )


def table(content: Table) -> str:
    """A table of text; its title is the caption."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in content.header)
    lines = []
    for row in content.rows:
        if row[0] and not any(row[1:]):
            lines.append(f'<tr class="head"><th colspan="{len(row)}" scope="rowgroup">{escape(row[0])}</th></tr>')
            continue
        first = f'<th scope="row">{escape(row[0])}</th>' if row[0] else "<td></td>"
        lines.append(f"<tr>{first}{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>")
    name = escape(content.title, quote=True)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}">\n<table>\n'
        f"<caption>{escape(content.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(lines)}\n</tbody>\n</table>\n</div>"
    )


CSS = """
:root { --ink: #1c2126; --soft: #59636e; --page: #ffffff; --line: #d5dae0; --band: #f3f5f8; --link: #0b5cad;
  --warn: #fdf3d8; --warn-line: #d9a514; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --soft: #a2abb5; --page: #15181c; --line: #3a4149; --band: #1f242a; --link: #7ab8f5;
    --warn: #352c14; --warn-line: #b98e1e; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { overflow-wrap: break-word; }
body { margin: 0 auto; max-width: 1000px; padding: 1.5rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, ul, dl { max-width: 46rem; }
a { color: var(--link); }
.notice { border-left: 4px solid var(--warn-line); background: var(--warn); padding: .6rem .9rem; }
.text { white-space: pre-line; }
mark { background: var(--warn); color: inherit; border-bottom: 1px solid var(--warn-line); padding: 0 .15em; }
h4 { font-size: .95rem; margin: 1.1rem 0 .35rem; color: var(--soft); }
article { border-left: 3px solid var(--line); padding-left: 1rem; margin: 1.5rem 0; }
nav { margin: 1.5rem 0 0; padding: .75rem 1rem; background: var(--band); border-radius: 6px; }
nav ol { margin: 0; padding-left: 1.4rem; columns: 3 14rem; }
figure { margin: 1.25rem 0; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; margin-top: .4rem; }
.card { background: #ffffff; border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow-x: auto; }
.card svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.card svg * { stroke-linejoin: round; stroke-linecap: butt; }
.wide { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; font-size: .9rem; }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; white-space: nowrap; vertical-align: top; }
thead th { border-bottom: 2px solid var(--line); }
tbody tr { border-bottom: 1px solid var(--line); }
tbody th { font-weight: 600; }
tr.head th { padding-top: .9rem; color: var(--soft); }
table.long th, table.long td { white-space: normal; min-width: 4.5rem; }
table.long td { min-width: 10rem; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .3rem 1.25rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--band); padding: .7rem .9rem; border-radius: 6px; overflow-x: auto; }
@media (max-width: 34rem) { dl { display: block; } dd { margin-bottom: .6rem; } body { padding: 1rem .9rem 3rem; } }
@media screen and (max-width: 34rem) {  /* a line below the other */
  table.long, table.long tbody, table.long tr, table.long th, table.long td { display: block; min-width: 0; }
  table.long thead { display: none; }
  table.long tr { padding: .5rem 0; }
  table.long caption { display: block; }
}
@media print {
  :root { --ink: #000000; --soft: #444444; --page: #ffffff; --line: #bbbbbb; --band: #ffffff; --link: #000000;
    --warn: #ffffff; }
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  h2, h3, h4, caption { break-after: avoid; }
  figure, tr, .notice, .wide { break-inside: avoid; }
  .wide:has(table.long) { break-inside: auto; }
  table.long th, table.long td { min-width: 0; }
  mark { background: none; font-style: italic; }
  thead { display: table-header-group; }
  .card { border: none; padding: 0; overflow: visible; }
  .card svg { min-width: 0; max-height: 235mm; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  th, td { white-space: normal; padding-right: .5rem; }
}
"""
