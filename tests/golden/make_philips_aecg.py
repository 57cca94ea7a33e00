"""Makes philips_aecg.json: what `ecgdatakit` 2 reads from the real Philips and HL7 aECG files.

Run in an environment of its own, since `ecgdatakit` (48 MB) is no dependency of the project:

    python -m venv /tmp/oracle && /tmp/oracle/bin/pip install "ecgdatakit>=2,<3"
    /tmp/oracle/bin/python tests/golden/make_philips_aecg.py ../shared/data/formats

Only numbers are kept, no recordings: of each lead the first samples and a digest of all.
"""

import hashlib
import json
import sys
from pathlib import Path

import ecgdatakit
import numpy as np
from ecgdatakit.parsing.parsers.hl7_aecg import HL7aECGParser
from ecgdatakit.parsing.parsers.sierra_xml import SierraXMLParser

FILES = {
    "philips/129DYPRG.XML": SierraXMLParser,
    "philips/3191723_ZZDEMOPTONLY_1-04_orig.xml": SierraXMLParser,
    "aecg/example_aecg.xml": HL7aECGParser,
    "aecg/subject1_0.xml": HL7aECGParser,
    "aecg/minimum_aecg.xml": HL7aECGParser,
}


def numbers(path: Path, parser: type) -> dict[str, object]:
    """What is kept of a file: enough to notice any change of rate, order, resolution, sample or header."""
    record = parser().parse(path)
    units = {lead.label: np.asarray(lead.samples, "<i4") for lead in record.leads}
    return {
        "rate": record.leads[0].sampling_rate,
        "microvolts": sorted({lead.resolution for lead in record.leads}),
        "samples": len(record.leads[0].samples),
        "recorded_at": record.recording.date.isoformat(),
        "years": record.patient.age,
        "sex": record.patient.sex,
        "device": record.recording.device.model,
        "sha256": {lead: hashlib.sha256(trace.tobytes()).hexdigest() for lead, trace in units.items()},
        "first": {lead: trace[:3].tolist() for lead, trace in units.items()},
    }


def main() -> None:
    """Write philips_aecg.json beside this script."""
    folder = Path(sys.argv[1])
    golden = {
        "made_by": f"tests/golden/make_philips_aecg.py with ecgdatakit {ecgdatakit.__version__}",
        "files": {name: numbers(folder / name, parser) for name, parser in FILES.items()},
    }
    path = Path(__file__).with_name("philips_aecg.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
