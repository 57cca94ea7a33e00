"""Makes scp.json: what the package `ecgdatakit` reads from a real SCP-ECG file.

Run in an environment of its own, since `ecgdatakit` is no dependency of the project:

    python -m venv /tmp/scpvenv && /tmp/scpvenv/bin/pip install ecgdatakit==2.0.3
    /tmp/scpvenv/bin/python tests/golden/make_scp.py ../shared/data

Only numbers are kept, no recordings, and of the patient only the sex.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser

FILES = ["formats/scp/Example.scp"]


def numbers(path: Path) -> dict[str, object]:
    """What is kept of a file: enough to notice any change of rate, order, unit or sample."""
    record = SCPECGParser().parse(path)
    digital = np.stack([lead.samples for lead in record.leads]).astype("<i2")
    return {
        "rate": record.leads[0].sampling_rate,
        "leads": [lead.label for lead in record.leads],
        "microvolts": sorted({lead.resolution for lead in record.leads}),
        "samples": digital.shape[1],
        "sum": digital.sum(axis=1, dtype=int).tolist(),
        "min": digital.min(axis=1).tolist(),
        "max": digital.max(axis=1).tolist(),
        "first": digital[:, :5].tolist(),
        "sha256": hashlib.sha256(digital.tobytes()).hexdigest(),
        "sex": record.patient.sex,
        "full_years": record.patient.age,
        "recorded_at": record.recording.date.isoformat(),
        "device": record.recording.device.model,
    }


def main() -> None:
    """Write scp.json beside this script."""
    data = Path(sys.argv[1])
    golden = {
        "made_by": f"tests/golden/make_scp.py with ecgdatakit {version('ecgdatakit')}",
        "files": {name: numbers(data / name) for name in FILES},
    }
    Path(__file__).with_name("scp.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
