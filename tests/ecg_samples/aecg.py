"""HL7 annotated ECG."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6", "III", "aVR", "aVL", "aVF")
MILLIVOLTS = {"nV": 1e-6, "uV": 1e-3, "mV": 1.0, "V": 1e3}
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def make_series(
    traces: dict[str, NDArray[np.int64]],
    *,
    code: str = "RHYTHM",
    increment: tuple[str, str] = ("0.002", "s"),
    scale: tuple[str, str] = ("2.5", "uV"),
    origin: tuple[str, str] = ("0", "uV"),
    start: str | None = "20210510130516.000",
    device: str | None = "ELI250",
) -> str:
    """A series of one set of sequences."""
    lists = []
    for lead, trace in traces.items():
        words = [str(value) for value in trace]
        lines = "\n".join(" ".join(words[at : at + 20]) for at in range(0, len(words), 20))
        lists.append(
            f'<component><sequence classCode="OBS"><code code="MDC_ECG_LEAD_{lead.upper()}"/>\n'
            f'<value xsi:type="SLIST_PQ"><origin value="{origin[0]}" unit="{origin[1]}"/>\n'
            f'<scale value="{scale[0]}" unit="{scale[1]}"/>\n'
            f"<!-- the samples -->\n<digits>\n{lines}\n</digits>\n</value></sequence></component>\n"
        )
    model = "" if device is None else f"<manufacturerModelName>{device}</manufacturerModelName>"
    low = "" if start is None else f'<low value="{start}" inclusive="true"/>'
    return (
        f'<component><series><code code="{code}" codeSystem="2.16.840.1.113883.5.4"/>\n'
        f"<effectiveTime>{low}</effectiveTime>\n"
        f"<author><seriesAuthor><manufacturedSeriesDevice>{model}</manufacturedSeriesDevice></seriesAuthor></author>\n"
        "<component><sequenceSet>\n"
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20210510130516"/>\n'
        f'<increment value="{increment[0]}" unit="{increment[1]}"/></value></sequence></component>\n'
        f"{''.join(lists)}</sequenceSet></component>\n"
        '<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT"/></derivedSeries></derivation>\n'
        "</series></component>\n"
    )


def make_aecg_xml(
    series: Sequence[str] | None = None,
    *,
    seed: int = 0,
    samples: int = 5000,
    subject: str | None = "TEST0001",
    gender: str | None = "F",
    born: str | None = "19610510",
    reported_age: tuple[str, str] | None = None,
    center: str | None = "20210510130000",
    encoding: str = "UTF-8",
    prefix: str = "",
    **options: object,
) -> bytes:
    """An aECG file as bytes; None leaves a field out, and other options go to the series."""
    if series is None:
        noise = np.random.default_rng(seed).integers(-400, 400, (len(LEADS), samples))
        series = [make_series(dict(zip(LEADS, noise, strict=True)), **options)]  # type: ignore[arg-type]

    def attribute(tag: str, name: str, value: str | None) -> str:
        return "" if value is None else f'<{tag} {name}="{value}"/>\n'

    person = "<name>TÉST</name>\n" + attribute("administrativeGenderCode", "code", gender)
    person += attribute("birthTime", "value", born)
    trial = "<subject><trialSubject>\n" + attribute("id", "extension", subject)
    trial += f"<subjectDemographicPerson>\n{person}</subjectDemographicPerson>\n</trialSubject></subject>\n"
    trial += "<componentOf><clinicalTrial><location><trialSite><location><name>Test Høspital</name></location>"
    trial += "</trialSite></location></clinicalTrial></componentOf>\n"
    body = '<code code="93000"/>\n<effectiveTime>' + attribute("center", "value", center) + "</effectiveTime>\n"
    body += "<componentOf><timepointEvent><componentOf><subjectAssignment>\n" + trial
    body += "</subjectAssignment></componentOf></timepointEvent></componentOf>\n"
    if reported_age is not None:
        value = f'<value value="{reported_age[0]}" unit="{reported_age[1]}"/>'
        body += (
            f'<controlVariable><relatedObservation><code code="21612-7"/>{value}</relatedObservation></controlVariable>'
        )
    body += "".join(series)
    namespace = 'xmlns="urn:hl7-org:v3"'
    if prefix:
        namespace = f'xmlns:{prefix}="urn:hl7-org:v3"'
        body = body.replace("</", f"</{prefix}:").replace("<", f"<{prefix}:").replace(f"<{prefix}:/", "</")
        body = body.replace(f"<{prefix}:!--", "<!--")
    root = f"{prefix}:AnnotatedECG" if prefix else "AnnotatedECG"
    prolog = f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- a comment -->\n'
    return f"{prolog}<{root} {namespace} {XSI}>\n{body}</{root}>\n".encode(encoding)


def decode_aecg(path: Path) -> Decoded:
    root = ElementTree.fromstring(path.read_bytes())
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    series = next(s for s in root.iter("series") if s.find("code").get("code") == "RHYTHM")
    rate, leads, traces = 0.0, [], []
    for sequence in series.find("component/sequenceSet").iter("sequence"):
        code, value = sequence.find("code").get("code"), sequence.find("value")
        if code.startswith("TIME_"):
            step = value.find("increment")
            rate = {"s": 1, "ms": 1000, "us": 1000000}[step.get("unit")] / float(step.get("value"))
            continue
        leads.append(code.removeprefix("MDC_ECG_LEAD_"))
        scale, origin = (
            float(e.get("value")) * MILLIVOLTS[e.get("unit")] for e in (value.find("scale"), value.find("origin"))
        )
        traces.append([int(digit) * scale + origin for digit in value.findtext("digits").split()])
    return rate, leads, traces


def write(folder: Path) -> Path:
    path = folder / "export.xml"
    path.write_bytes(make_aecg_xml())
    return path


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.read_bytes()
    start = data.index(b"<digits>") + len(b"<digits>")
    return path, start, data.rindex(b"</digits>")


REAL = ("formats/aecg/example_aecg.xml", "formats/aecg/subject1_0.xml", "formats/aecg/minimum_aecg.xml")
SAMPLE = Sample(write, decode_aecg, REAL, waveform, checksum=False)
