"""XML from strangers: parsed so that nothing is loaded, nothing expands, and nothing grows."""

from __future__ import annotations

from pathlib import Path

import pybase64
from lxml import etree

from precordial.errors import UnusableEcg
from precordial.formats.reader import read_bytes

TAGS = 200_000  # the files at hand have 2400 at most
_ENTITY = tuple("<!ENTITY".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def parse_xml(path: Path, limit: int, tag: str) -> etree._Element:
    """The root element of an XML file.

    A DOCTYPE is let pass, since real files carry one, but what it points to is not loaded.

    Args:
        path: the file.
        limit: bytes that it may have; a bomb is stopped before it is parsed.
        tag: name of the root element, without its namespace.

    Raises:
        UnusableEcg: it is too large, damaged, declares entities, or has another root.
    """
    data = read_bytes(path, limit)
    wide = b"\0" in data[:64]  # in UTF-16, as some devices write
    if any(spelling in data for spelling in _ENTITY[: 3 if wide else 1]):
        raise UnusableEcg("unreadable", "the XML declares entities, which no ECG needs", file=path)
    if data.count(b"<") > TAGS:  # an empty element takes thirty times its bytes once it is parsed
        raise UnusableEcg("unreadable", "the XML has more tags than any ECG", file=path)
    try:
        root = etree.fromstring(data, _PARSER)
    except etree.XMLSyntaxError as error:
        raise UnusableEcg("unreadable", f"the XML is damaged or truncated at line {error.lineno}", file=path) from None
    except ValueError:  # an encoding that lxml does not know
        raise UnusableEcg("unreadable", "the XML is in an unknown encoding", file=path) from None
    if etree.QName(root).localname != tag:
        raise UnusableEcg("unreadable", f"the XML's root element is not {tag}", file=path)
    return root


def text(element: etree._Element, name: str) -> str:
    """The text of a child, stripped; empty where there is none."""
    return (element.findtext(name) or "").strip()


def decode_base64(letters: str | None) -> bytes:
    """The bytes behind base64 text, white space left out.

    Raises:
        ValueError: it is not base64 to the last letter.
    """
    return pybase64.b64decode((letters or "").encode().translate(None, b" \n\r\t"), validate=True)
