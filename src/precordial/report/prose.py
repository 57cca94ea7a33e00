"""Text in parts: paragraphs, lists and tables, written once and shown as HTML and as Markdown.

What the program cannot know stands in the text as ``[AUTHORS: what to write]``, and is marked wherever it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from precordial.report import page
from precordial.report.table import Table, in_markdown

Block = str | tuple[str, ...] | Table  # a paragraph, a list of points, a table
_TODO = re.compile(r"\[AUTHORS: [^\]]*\]")


@dataclass(frozen=True)
class Part:
    """Some blocks under a heading."""

    title: str
    blocks: tuple[Block, ...]


def todo(what: str) -> str:
    """The mark of what the authors must still write.

    >>> todo("name the hospitals")
    '[AUTHORS: name the hospitals]'
    """
    return f"[AUTHORS: {what}]"


def todos(parts: Iterable[Part]) -> list[str]:
    """All that the authors must still write, in order."""
    texts = [
        text
        for part in parts
        for block in part.blocks
        for text in ([block] if isinstance(block, str) else block if isinstance(block, tuple) else ())
    ]
    return [found.removeprefix("[AUTHORS: ").removesuffix("]") for text in texts for found in _TODO.findall(text)]


def as_html(parts: Sequence[Part], *, level: int = 3) -> str:
    """The parts with headings of a level."""
    out = []
    for part in parts:
        out.append(f"<h{level}>{escape(part.title)}</h{level}>")
        for block in part.blocks:
            if isinstance(block, Table):
                out.append(page.table(block))
            elif isinstance(block, str):
                out.append(f"<p>{marked(block)}</p>")
            else:
                out.append("<ul>\n" + "\n".join(f"<li>{marked(item)}</li>" for item in block) + "\n</ul>")
    return "\n".join(out)


def marked(text: str) -> str:
    """Plain text as HTML, with what the authors must write marked."""
    return _TODO.sub(lambda found: f"<mark>{found[0]}</mark>", escape(text))


def as_markdown(title: str, parts: Sequence[Part]) -> str:
    """A document of its own."""
    out = [f"# {in_markdown(title)}\n"]
    for part in parts:
        out.append(f"## {in_markdown(part.title)}\n")
        for block in part.blocks:
            if isinstance(block, Table):
                out.append(block.markdown())
            elif isinstance(block, str):
                out.append(f"{_markdown(block)}\n")
            else:
                out.append("".join(f"- {_markdown(item)}\n" for item in block))
    return "\n".join(out)


def _markdown(text: str) -> str:
    """Plain text with what the authors must write in bold."""
    parts = [part.strip() for part in re.split(f"({_TODO.pattern})", text)]
    return " ".join(
        f"**{in_markdown(part)}**" if _TODO.fullmatch(part) else in_markdown(part) for part in parts if part
    )
