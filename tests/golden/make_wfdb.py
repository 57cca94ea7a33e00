"""Makes wfdb.json: what PhysioNet's own `wfdb` package reads from real records, from files that it wrote in format 212,
and from random bytes in every format of integers.

Run in an environment of its own, since `wfdb` is no dependency of the project:

    python -m venv /tmp/wfdbvenv && /tmp/wfdbvenv/bin/pip install wfdb
    /tmp/wfdbvenv/bin/python tests/golden/make_wfdb.py ../shared/data

Only numbers are kept, no recordings. What is random is kept whole.
`wfdb` does not read the date form of the Challenges' record lines; it is given a copy of the header without it.
"""

import base64
import hashlib
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import wfdb

RECORDS = [
    "ptbxl/records100/00000/00001_lr.hea",
    "ptbxl/records100/01000/01500_lr.hea",
    "ptbxl/records500/00000/00666_hr.hea",
    "ptbxl/records500/01000/01017_hr.hea",
    "cinc2021/chapman_shaoxing/JS00001.hea",
    "cinc2021/cpsc_2018/A0001.hea",
    "cinc2021/cpsc_2018/A0004.hea",
    "cinc2021/cpsc_2018_extra/Q0017.hea",
    "cinc2021/georgia/E00001.hea",
    "cinc2021/georgia/E00015.hea",
    "cinc2021/georgia/E00015.hea.orig",
    "cinc2021/georgia/E00018.hea.orig",
    "cinc2021/ptb/S0001.hea",
    "cinc2021/ptb-xl/HR00599.hea",
]

# Bytes of a value in each format.
BYTES = {8: 1, 16: 2, 24: 3, 32: 4, 61: 2, 80: 1, 160: 2, 212: 1.5, 310: 4 / 3, 311: 4 / 3}


def numbers(record: wfdb.Record) -> dict[str, object]:
    """What is kept of a record: enough to notice any change of rate, order, gain or sample."""
    digital = np.ascontiguousarray(record.d_signal.T.astype("<i2"))
    microvolts = (digital[:, :5] - np.array(record.baseline)[:, None]) / np.array(record.adc_gain)[:, None] * 1e3
    return {
        "rate": record.fs,
        "leads": record.sig_name,
        "units": [unit.lower() for unit in record.units],
        "samples": record.sig_len,
        "gains": record.adc_gain,
        "sum": digital.sum(axis=1, dtype=int).tolist(),
        "min": digital.min(axis=1).tolist(),
        "max": digital.max(axis=1).tolist(),
        "first_microvolts": microvolts.tolist(),
        "sha256": hashlib.sha256(digital.tobytes()).hexdigest(),
    }


def read(header: Path, scratch: Path) -> wfdb.Record:
    """Read a record by `wfdb` through a copy of its header whose record line has no date and no suffix."""
    first, *rest = header.read_text().split("\n")
    name = first.split()[0].removesuffix(".mat")
    data = rest[0].split()[0]
    (scratch / f"{name}.hea").write_text("\n".join([" ".join([name, *first.split()[1:4]]), *rest]))
    (scratch / data).write_bytes((header.parent / data).read_bytes())
    return wfdb.rdrecord(str(scratch / name), physical=False)


def written_212(signals: int, samples: int, scratch: Path) -> dict[str, object]:
    """A record that `wfdb` writes in format 212 and reads again, with its bytes."""
    walk = np.random.default_rng(signals * samples).integers(-150, 151, (samples, signals)).cumsum(axis=0)
    digital = np.clip(walk, -2047, 2047)
    digital[:2] = [[-2047], [2047]]
    name = f"packed_{signals}_{samples}"
    wfdb.wrsamp(
        name,
        fs=360,
        units=["mV"] * signals,
        sig_name=["I", "II", "V1"][:signals],
        d_signal=digital.astype(np.int64),
        fmt=["212"] * signals,
        adc_gain=[200.0] * signals,
        baseline=[1024 - 1024 * i for i in range(signals)],
        write_dir=str(scratch),
    )
    record = wfdb.rdrecord(str(scratch / name), physical=False)
    assert np.array_equal(record.d_signal, digital)
    return numbers(record) | {
        "header": (scratch / f"{name}.hea").read_text(),
        "data": base64.b64encode((scratch / f"{name}.dat").read_bytes()).decode(),
        "digital": digital.T.tolist(),
    }


def random_bytes(storage: int, signals: int, samples: int, scratch: Path) -> dict[str, object]:
    """A data file of random bytes, and what `wfdb` reads from it; checksums are of what it reads."""
    draw = np.random.default_rng(storage)
    data = bytearray(draw.bytes(math.ceil(signals * samples * BYTES[storage] / 4) * 4))
    if storage == 311:  # the two highest bits of four bytes are not used; wfdb takes one of them for the last number's
        data[3::4] = bytes(byte & 0x3F for byte in data[3::4])
    name = f"bytes_{storage}"
    (scratch / f"{name}.dat").write_bytes(data)

    def header(checksums: list[int]) -> str:
        lines = [f"{name} {signals} 500 {samples}"]
        for i, checksum in enumerate(checksums):
            gain = f"{100 * (i + 1)}({-7 * i})/mV"
            lines.append(f"{name}.dat {storage} {gain} 0 0 {1000 * i - 500} {checksum} 0 V{i + 1}")
        return "\n".join(lines) + "\n"

    (scratch / f"{name}.hea").write_text(header([0] * signals))
    digital = wfdb.rdrecord(str(scratch / name), physical=False).d_signal.astype(np.int64)
    return {
        "format": storage,
        "header": header([int(total) % 65536 for total in digital.sum(axis=0)]),
        "data": base64.b64encode(data).decode(),
        "digital": digital.T.tolist(),
    }


def main() -> None:
    """Write wfdb.json beside this script."""
    data = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        golden = {
            "made_by": f"tests/golden/make_wfdb.py with wfdb {wfdb.__version__}",
            "records": {name: numbers(read(data / name, scratch)) for name in RECORDS},
            "bytes": [random_bytes(storage, 3, 101, scratch) for storage in BYTES],
            "packed": [written_212(*size, scratch) for size in ((2, 40), (3, 33), (1, 21))],
        }
    Path(__file__).with_name("wfdb.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
