"""Philips Sierra ECG XML, plain and compressed (XLI)."""

from __future__ import annotations

import base64
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_samples.sample import Decoded, Sample

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
NAMESPACE = "http://www3.medical.philips.com"


def half(number: int) -> int:
    """Half, rounded towards zero."""
    return number // 2 if number >= 0 else -(-number // 2)


def expected(i: int, ii: int, iii: int) -> tuple[int, int, int, int]:
    """What the electrocardiograph expects of III, aVR, aVL and aVF."""
    return ii - i, -half(i + ii), half(i - iii), half(ii + iii)


def make_traces(seed: int = 0, samples: int = 5000) -> dict[str, NDArray[np.int16]]:
    """Twelve leads of slow waves and noise, whose limb leads are a unit or so off their sums, as in real files."""
    draw = np.random.default_rng(seed)
    time = np.arange(samples)
    wave = 300 * np.sin(time / draw.uniform(20, 60, (8, 1))) + draw.integers(-9, 10, (8, samples))
    i, ii, *chest = wave.astype(int)
    off = draw.integers(-1, 2, (4, samples))
    iii = ii - i + off[0]
    sums = [expected(*triple) for triple in zip(i.tolist(), ii.tolist(), iii.tolist(), strict=True)]
    augmented = np.array(sums).T[1:] + off[1:]
    return {
        lead: np.array(trace, np.int16) for lead, trace in zip(LEADS, [i, ii, iii, *augmented, *chest], strict=True)
    }


def pack(codes: list[int]) -> bytes:
    """Codes of ten bits, the most significant bit first, in as many bytes as the electrocardiographs take for them."""
    size = (10 * (len(codes) - 1) + 4) // 8 + 2
    bits = "".join(f"{code:010b}" for code in codes).ljust(8 * size, "0")
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def lzw(data: bytes) -> list[int]:
    """Codes of the longest strings that are in the dictionary, which stops growing at 1023 entries."""
    known = {bytes([value]): value for value in range(256)}
    codes, string = [], b""
    for value in data:
        longer = string + bytes([value])
        if longer in known:
            string = longer
            continue
        codes.append(known[string])
        if len(known) < 1023:
            known[longer] = len(known)
        string = bytes([value])
    return [*codes, known[string]]


def compress_channel(trace: list[int]) -> bytes:
    """One chunk of XLI, with its header."""
    bends = [2 * trace[k - 1] - trace[k - 2] - trace[k] for k in range(2, len(trace))]
    words = [*trace[:2], *(bend + 64 for bend in bends[1:]), 0]
    packed = [struct.pack(">h", word) for word in words]
    body = pack([*lzw(b"".join(word[:1] for word in packed) + b"".join(word[1:] for word in packed)), 1023])
    return struct.pack("<IHh", len(body), 1, bends[0]) + body


def compress(traces: dict[str, NDArray[np.int16]], channels: int = 16) -> bytes:
    """XLI: limb leads as differences from what is expected of them, and empty channels behind."""
    rows = {lead: [int(value) for value in trace] for lead, trace in traces.items()}
    if set(LEADS[:6]) <= set(rows):
        sums = [expected(*triple) for triple in zip(rows["I"], rows["II"], rows["III"], strict=True)]
        for n, lead in enumerate(LEADS[2:6]):
            rows[lead] = [right[n] - value for right, value in zip(sums, rows[lead], strict=True)]
    samples = len(next(iter(rows.values())))
    empty = [[0] * samples] * (channels - len(rows))
    return b"".join(compress_channel(row) for row in [*rows.values(), *empty])


def make_philips_xml(
    traces: dict[str, NDArray[np.int16]] | None = None,
    *,
    seed: int = 0,
    version: str = "1.04.01",
    compressed: bool = True,
    data: bytes | None = None,
    channels: int = 16,
    samples: int = 5000,
    rate: str = "500",
    duration: str | None = None,
    resolution: str = "5",
    offset: str = "0",
    patient_id: str | None = "TEST0001",
    date: str = "2021-05-10",
    time: str = "13:05:16",
    age: str = "<years>60</years>",
    sex: str | None = "Female",
    machine: str | None = "PageWriter TC",
    encoding: str = "UTF-8",
) -> bytes:
    """A Sierra file as bytes; None leaves a field out. `data` replaces the bytes behind the base64.

    1.03 says what the samples are in ``signalcharacteristics``, the later versions in attributes.
    """
    traces = make_traces(seed, samples) if traces is None else traces
    if data is None:
        plain = b"".join(np.asarray(trace, "<i2").tobytes() for trace in traces.values())
        data = compress(traces, channels) if compressed else plain
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    count = len(next(iter(traces.values())))
    duration = f"{1000 * count / float(rate):.10g}" if duration is None else duration
    old = version == "1.03"

    def tag(name: str, value: str | None) -> str:
        return "" if value is None else f"<{name}>{value}</{name}>\n"

    signal = (
        tag("samplingrate", rate)
        + tag("signalresolution" if old else "resolution", resolution)
        + tag("acquisitiontype", "STD-12" if old else "10-WIRE")
        + tag("bitspersample", "16")
        + tag("signaloffset", offset)
        + tag("signalsigned", "True")
        + tag("numberchannelsallocated", str(len(traces)))
        + tag("leadset", "STD-12" if old else None)
    )
    if old:
        method = f'compressflag="{compressed}" compressmethod="{"XLI" if compressed else ""}"'
        attributes = f'{method} dataencoding="Base64" durationperchannel="{duration}" nbitspersample="16"'
    else:
        method = 'compression="XLI" ' if compressed else ""
        attributes = (
            f'dataencoding="Base64" {method}numberofleads="{len(traces)}" leadlabels="{" ".join(traces)}" '
            f'durationperchannel="{duration}" samplespersecond="{rate}" resolution="{resolution}" '
            f'signaloffset="{offset}" signalsigned="True" bitspersample="16" hipass="0.05" lowpass="150"'
        )
    acquirer = tag("departmentid", "07") + tag("institutionname", "Test Høspital")
    name = tag("name", tag("lastname", "TÉST"))
    patient = tag("patientid", patient_id) + name + f'<age defaultage="50">{age}</age>\n' + tag("sex", sex)
    body = (
        tag("documentinfo", tag("documenttype", "PhilipsECG") + tag("documentversion", version))
        + f'<dataacquisition date="{date}" time="{time}" statflag="False">\n'
        + tag("machine", machine)
        + tag("acquirer", acquirer)
        + tag("signalcharacteristics", signal)
        + "</dataacquisition>\n"
        + tag("patient", tag("generalpatientdata", patient))
        + "<waveforms>\n"
        + f"<parsedwaveforms {attributes}>{lines}</parsedwaveforms>\n"
        + '<repbeats dataencoding="Base64" resolution="2.5"><repbeat leadname="I"/></repbeats>\n</waveforms>\n'
    )
    xml = (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<restingecgdata xmlns="{NAMESPACE}">\n{body}</restingecgdata>\n'
    )
    return xml.encode(encoding)


def decode_channel(data: bytes, at: int) -> tuple[list[int], int]:
    """The numbers of one chunk, and where the next begins."""
    size, _, bend = struct.unpack_from("<IHh", data, at)
    stream = int.from_bytes(data[at + 8 : at + 8 + size])
    codes = [stream >> shift & 1023 for shift in range(8 * size - 10, -1, -10)]
    strings = {value: [value] for value in range(256)}
    decoded: list[int] = []
    last: list[int] = []
    for code in codes[: codes.index(1023)]:
        string = strings.get(code) or [*last, last[0]]
        if last and len(strings) < 1023:
            strings[len(strings)] = [*last, string[0]]
        decoded += string
        last = string
    middle = len(decoded) // 2
    words = [struct.unpack(">h", bytes(pair))[0] for pair in zip(decoded[:middle], decoded[middle:], strict=True)]
    trace = words[:2]
    for word in words[2:]:
        trace.append(2 * trace[-1] - trace[-2] - bend)
        bend = word - 64
    return trace, at + 8 + size


def decode_philips(path: Path) -> Decoded:
    root = ElementTree.fromstring(path.read_bytes())
    waveforms = root.find(f".//{{{NAMESPACE}}}parsedwaveforms")
    signal = {e.tag.split("}")[1]: e.text for e in root.find(f".//{{{NAMESPACE}}}signalcharacteristics")}
    rate = float(waveforms.get("samplespersecond") or signal["samplingrate"])
    scale = float(waveforms.get("resolution") or signal["signalresolution"]) / 1000
    leads = waveforms.get("leadlabels", " ".join(LEADS)).split()
    data = base64.b64decode(waveforms.text)
    traces: list[list[int]] = []
    at = 0
    if waveforms.get("compression", waveforms.get("compressmethod")) == "XLI":
        while at < len(data):
            trace, at = decode_channel(data, at)
            traces.append(trace)
        for k, (i, ii, off, *_) in enumerate(zip(*traces, strict=True)):
            iii = ii - i - off
            for n, right in enumerate(expected(i, ii, iii)):
                traces[n + 2][k] = right - traces[n + 2][k]
    else:
        numbers = [number for (number,) in struct.iter_unpack("<h", data)]
        count = len(numbers) // len(leads)
        traces = [numbers[n * count : (n + 1) * count] for n in range(len(leads))]
    return rate, leads, [[number * scale for number in trace] for trace in traces[: len(leads)]]


def write(folder: Path) -> Path:
    path = folder / "export.xml"
    path.write_bytes(make_philips_xml())
    return path


def waveform(path: Path) -> tuple[Path, int, int]:
    data = path.read_bytes()
    start = data.index(b">", data.index(b"<parsedwaveforms")) + 1
    return path, start, data.index(b"</parsedwaveforms>", start)


REAL = ("formats/philips/129DYPRG.XML", "formats/philips/3191723_ZZDEMOPTONLY_1-04_orig.xml")
SAMPLE = Sample(write, decode_philips, REAL, waveform, checksum=False)
