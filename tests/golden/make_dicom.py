"""Makes dicom.json: what pydicom's own decoder and the package `ecgdatakit` read from real DICOM ECGs.

Run in an environment of its own, since `ecgdatakit` is no dependency of the project:

    python -m venv /tmp/dicomvenv && /tmp/dicomvenv/bin/pip install ecgdatakit==2.0.3 pydicom==3.0.2 numpy
    /tmp/dicomvenv/bin/python tests/golden/make_dicom.py ../shared/data

Only numbers are kept, no recordings, and of the patient only the sex.
"""

import hashlib
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import ecgdatakit
import numpy as np
import pydicom
from pydicom.waveforms import multiplex_array

FILES = ["formats/dicom/ecgtoolkit_example.dcm", "formats/dicom/waveform_ecg.dcm"]


def numbers(path: Path) -> dict[str, object]:
    """What is kept of a file: enough to notice any change of rate, order, unit or sample."""
    dataset = pydicom.dcmread(path)
    group = dataset.WaveformSequence[0]
    assert group.WaveformOriginality == "ORIGINAL"
    digital = np.ascontiguousarray(multiplex_array(dataset, 0, as_raw=True).T.astype("<i2"))
    record = ecgdatakit.FileParser().parse(path)
    return {
        "rate": record.leads[0].sampling_rate,
        "leads": [lead.label for lead in record.leads],
        "uv_per_unit": sorted({lead.resolution for lead in record.leads}),
        # Not ecgdatakit's: it takes the zeros of the first file, whose padding value is zero, for missing samples.
        "microvolts_of_the_first": dataset.waveform_array(0)[:5].T.tolist(),
        "samples": digital.shape[1],
        "sum": digital.sum(axis=1, dtype=int).tolist(),
        "min": digital.min(axis=1).tolist(),
        "max": digital.max(axis=1).tolist(),
        "sha256": hashlib.sha256(digital.tobytes()).hexdigest(),
        "sex": dataset.PatientSex,
        "recorded_at": dataset.AcquisitionDateTime,
        "device": dataset.ManufacturerModelName,
    }


def main() -> None:
    """Write dicom.json beside this script."""
    warnings.simplefilter("ignore")  # identifiers in one of the files are malformed
    data = Path(sys.argv[1])
    golden = {
        "made_by": f"tests/golden/make_dicom.py with pydicom {pydicom.__version__}, ecgdatakit {version('ecgdatakit')}",
        "files": {name: numbers(data / name) for name in FILES},
    }
    Path(__file__).with_name("dicom.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
