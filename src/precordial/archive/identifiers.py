"""What in an ECG file tells who it is: names, ids, dates and addresses, whatever the format.

This serves the proof that none of it is in an archive (`precordial.archive.privacy`). It looks wider than the readers
do, and also into files that no reader takes. It may name things that identify nobody; it must not miss what does.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from lxml import etree

from precordial.errors import UnusableEcg
from precordial.formats.checks import held_in, optional
from precordial.formats.reader import read_bytes
from precordial.formats.wfdb_header import looks_like_header

Identifier = tuple[str, str]  # its kind ("name", "id", "date", "address", "site", "text" or "file"), and the text

LIMIT = 64 << 20  # bytes of a file that is looked into; recordings above that have their names in tables of their own
SHORT = 200  # characters of the longest text that is taken for a name or a date

_DATE = re.compile(r"(?<!\d)(?:(\d{4})-?(\d{2})-?(\d{2})|(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}))")
_PERSON = re.compile(
    r"patient|subject|person|physician|doctor|clinician|tech|reader|editor|operator|author|performer|refer|order|attend|"
    r"consult|admit|admission|request|nurse|analyst|confirm|investigator|responsible|visit|account|md"
)
_NAME = re.compile(r"(^|last|first|middle|full|patient|maiden|sur)name$|^(family|given)$|(?<!file)name$|initials$")
_THING = re.compile(r"display|system|device|manufactur|model|software|product|organi[sz]ation|document|lead|trial$")
_SITE = re.compile(r"site|location|institution|hospital|facility|clinic$|department")
_ID = re.compile(r"(id|ids|mrn|number|num|ssn|accession|identifier|extension)$")
_PLACE = re.compile(r"address|street|city|postal|zip|phone|telecom|email|fax")
_COMMENT = re.compile(r"\s*([^:]{1,40}?)\s*:\s*(.*)")
_SCP_NAMES, _SCP_IDS, _SCP_DATES = (0, 1, 3, 20, 21, 22), (2,), (5, 25)  # tags of section 1


def identifiers(path: Path) -> set[Identifier]:
    """What in a file, and in its name, tells who it is.

    XML is searched for elements and attributes that name, number or locate persons, WFDB headers for their comments,
    DICOM for names, ids, addresses and dates, SCP-ECG for its section of patient data. Other files, and damaged ones as
    far as they are, give their names only.

    Raises:
        UnusableEcg: a DICOM file, and pydicom is not installed.
    """
    found = {("file", path.name.partition(".")[0])}
    try:
        data = read_bytes(path, LIMIT)
    except UnusableEcg:
        return found
    if data[128:132] == b"DICM":
        return found | set(_dicom(path))
    if data[16:22] == b"SCPECG":
        return found | set(_scp(data))
    if data.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1] == b"<":
        return found | set(_xml(data))
    if looks_like_header(data[:4096]) or path.suffix == ".hea":
        return found | set(_comments(_text(data)))
    return found


def dates_in(text: str) -> set[date]:
    """Every date that a text may mean; a day and a month that could be either way round give both.

    >>> sorted(map(str, dates_in("born 19530508, recorded 03/04/2017 10:15")))
    ['1953-05-08', '2017-03-04', '2017-04-03']
    """
    found = set()
    for year, month, day, one, other, last in _DATE.findall(text):
        for y, m, d in ((year, month, day),) if year else ((last, one, other), (last, other, one)):
            try:
                found.add(date(int(y), int(m), int(d)))
            except ValueError:
                continue
    return {day for day in found if 1850 <= day.year <= 2150}


def _dates(text: str) -> Iterator[Identifier]:
    return (("date", day.isoformat()) for day in dates_in(text))


def _name(text: str) -> Iterator[Identifier]:
    """A name, and each of its parts."""
    yield "name", text
    for part in re.findall(r"[^\W\d_]{2,}", text):
        yield "name", part


def _xml(data: bytes) -> Iterator[Identifier]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return
    if root is None:  # nothing could be saved
        return
    path: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if not isinstance(element.tag, str):
            continue
        if event == "end":
            path.pop()
            continue
        path.append(etree.QName(element).localname.lower())
        fields = [(path[-1], element.text or ""), *((_local(key), value) for key, value in element.attrib.items())]
        for label, text in ((label, value.strip()) for label, value in fields):
            if text and len(text) <= SHORT:
                yield from _dates(text)
                yield from _by_label(label, text, path)


def _local(key: str | bytes) -> str:
    return str(key).rpartition("}")[2].lower()


def _by_label(label: str, text: str, path: list[str]) -> Iterator[Identifier]:
    """What a text is by the name of its element or attribute, and by where that is."""
    near = "/".join([*path[-2:], label])
    if _PLACE.search(near):
        yield "address", text
    elif _SITE.search(near) and _NAME.search(label):
        yield "site", text
    elif not _PERSON.search("/".join([*path, label])) or _THING.search(near):
        return
    elif _NAME.search(label):
        yield from _name(text)
    elif _ID.search(label):
        yield "id", text


def _comments(text: str) -> Iterator[Identifier]:
    yield from _dates(text)
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            continue
        comment = line.lstrip("# \t").strip()
        pair = _COMMENT.fullmatch(comment)
        label = pair[1].lower() if pair else ""
        if pair and re.search(r"name|physician|doctor|technician", label):
            yield from _name(pair[2])
        elif pair and re.search(r"patient|\bid\b|number|mrn", label):
            yield "id", pair[2]
        elif pair and _PLACE.search(label):
            yield "address", pair[2]
        else:
            yield "text", comment


def _dicom(path: Path) -> Iterator[Identifier]:
    pydicom = optional("pydicom", "DICOM", "dicom", path)
    found: list[Identifier] = []
    try:
        with held_in(path, "the DICOM data set"):
            for element in pydicom.dcmread(path, defer_size="1 KB").iterall():
                text, word = str(element.value or "").strip(), element.keyword.lower()
                if 0 < len(text) <= SHORT:
                    found += _by_keyword(element.VR, word, text)
    except UnusableEcg:
        pass  # of a damaged file, what came before the damage
    yield from found


def _by_keyword(representation: str, word: str, text: str) -> Iterator[Identifier]:
    if representation in ("DA", "DT"):
        yield from _dates(text[:8])
    elif representation == "PN":
        yield from _name(text)
    elif _PLACE.search(word):
        yield "address", text
    elif word == "institutionname":
        yield "site", text
    elif word in ("patientid", "otherpatientids", "accessionnumber", "admissionid", "studyid"):
        yield "id", text


def _scp(data: bytes) -> Iterator[Identifier]:
    try:
        (size,) = struct.unpack_from("<I", data, 10)  # of section 0, which says where the others are
        for at in range(22, 6 + size, 10):
            section, length, start = struct.unpack_from("<HII", data, at)
            if section == 1 and length:
                yield from _scp_patient(data[start - 1 + 16 : start - 1 + length])
    except struct.error:
        return


def _scp_patient(data: bytes) -> Iterator[Identifier]:
    at = 0
    while at + 3 <= len(data) and data[at] != 255:
        tag, (length,) = data[at], struct.unpack_from("<H", data, at + 1)
        value = data[at + 3 : at + 3 + length]
        text = _text(value.split(b"\0")[0]).strip()
        if tag in _SCP_DATES and length == 4:
            year, month, day = struct.unpack("<HBB", value)
            yield from _dates(f"{year:04}-{month:02}-{day:02}")
        elif text and tag in _SCP_NAMES:
            yield from _name(text)
        elif text and tag in _SCP_IDS:
            yield "id", text
        at += 3 + length


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
