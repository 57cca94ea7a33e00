"""XML from strangers: parsed so that nothing is loaded, nothing expands, and nothing grows."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pybase64
from lxml import etree

from precordial.errors import UnusableEcg
from precordial.formats.reader import read_bytes

# Encodings in which letters, digits and signs are the bytes of ASCII.
_PLAIN = re.compile(
    rb"\s*<(?![?]xml[^>]*encoding)|\s*<[?]xml[^>]*encoding=.(utf-8|us-ascii|iso-8859-\d+|windows-125\d)", re.I
)
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
    return _parse(read_bytes(path, limit), tag, path)


def parse_with_bodies(path: Path, limit: int, tag: str, bulk: str) -> tuple[etree._Element, list[bytes]]:
    """As `parse_xml`, with the texts of the elements named `bulk` set apart, in which most of a file's bytes are.

    The parser is given the file without them, which halves its time; where that might differ from the whole file, it
    is given the whole.

    Returns:
        The root, in which each of these elements has its number for a text, and the texts by number, as bytes.
    """
    data = read_bytes(path, limit)
    rest, bodies = _without(data, bulk.encode())
    if bodies:
        with suppress(UnusableEcg):  # the whole file will say where
            root = _parse(rest, tag, path)
            if [element.text for element in root.iter(bulk)] == [str(number) for number in range(len(bodies))]:
                return root, bodies
    root = _parse(data, tag, path)
    bodies = []
    for number, element in enumerate(root.iter(bulk)):
        bodies.append((element.text or "").encode())
        element.text = str(number)
    return root, bodies


def _without(data: bytes, name: bytes) -> tuple[bytes, list[bytes]]:
    """The file with a number in place of each text between two tags, and these texts; none if one is no plain text."""
    if _PLAIN.match(data) is None:
        return data, []
    start, end = b"<%b>" % name, b"</%b>" % name
    first, *others = data.split(start)
    rest, bodies = [first], []
    for number, other in enumerate(others):
        body, found, behind = other.partition(end)
        if not found or b"<" in body or b"&" in body:
            return data, []
        bodies.append(body)
        rest += [start, str(number).encode(), end, behind]
    return b"".join(rest), bodies


def _parse(data: bytes, tag: str, path: Path) -> etree._Element:
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


def decode_base64(letters: bytes) -> bytes:
    """The bytes behind base64, white space left out.

    Raises:
        ValueError: it is not base64 to the last letter.
    """
    return pybase64.b64decode(letters.translate(None, b" \n\r\t"), validate=True)
