"""Any ECG file into an `Ecg`."""

from __future__ import annotations

from pathlib import Path

from precordial.ecg import Ecg
from precordial.errors import PrecordialError, UnusableEcg
from precordial.formats.aecg import AECG
from precordial.formats.code15 import CODE15
from precordial.formats.dicom import DICOM
from precordial.formats.matrix import MATRIX
from precordial.formats.muse import MUSE
from precordial.formats.philips import PHILIPS
from precordial.formats.reader import HEAD_BYTES, Reader, first_bytes
from precordial.formats.scp import SCP
from precordial.formats.wfdb import WFDB, lacks_header

READERS: dict[str, Reader] = {reader.name: reader for reader in (MUSE, WFDB, DICOM, CODE15, MATRIX, PHILIPS, AECG, SCP)}


def read_ecg(path: str | Path, *, strict: bool = False) -> Ecg:
    """Read one ECG file of any known format.

    All leads of the file are returned as they are, at the file's rate and length; `precordial.ecg.normalise`
    brings them to the eight leads, one rate and one length.

    Args:
        path: the file. For WFDB the header, or a data file whose header lies beside it, or the record's name
            without a suffix.
        strict: also refuse faults outside the recording itself, such as those of MUSE's Median beat, as the
            authors' code does.

    Returns:
        The recording, (leads, samples) float32 mV.

    Raises:
        PrecordialError: there is no such file, or it is a folder.
        UnusableEcg: no reader knows the file, or it is damaged, or a variant that is not read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     header = Path(folder, "a.hea")
    ...     _ = header.write_text("a 1 500 2\\na.dat 16 1000/mV 16 0 100 -50 0 II")
    ...     _ = Path(folder, "a.dat").write_bytes(bytes([100, 0, 106, 255]))
    ...     read_ecg(header).signal
    array([[ 0.1 , -0.15]], dtype=float32)
    """
    path = _existing_file(Path(path))
    reader = find_reader(path)
    if reader is not None:
        return (reader.read_strictly if strict and reader.read_strictly else reader.read)(path)
    header = path.with_suffix(".hea")
    if header.is_file() and path in WFDB.companions(header):
        return WFDB.read(header)
    if lacks_header(path):
        raise UnusableEcg(
            "unreadable", f"its header {header.name} is missing", file=path, remedy="put the header beside it"
        )
    raise UnusableEcg("not-an-ecg", "not an ECG file", file=path, remedy=f"formats read: {', '.join(READERS)}")


def _existing_file(path: Path) -> Path:
    """The file itself, or the header of the WFDB record of that name."""
    try:
        for file in (path, path.with_name(path.name + ".hea") if path.name else path):
            if file.is_file():
                return file
        if path.exists():
            what = "a folder" if path.is_dir() else "no regular file"
            raise PrecordialError(f"this is {what}, not an ECG file", file=path, remedy="give one ECG file")
    except OSError as error:
        raise PrecordialError(f"the system could not open it ({error.strerror})", file=path) from error
    raise PrecordialError("there is no such file", file=path, remedy="check the path")


def find_reader(path: Path) -> Reader | None:
    """The reader that knows this file, by its content; None for other files.

    A data file that belongs to a header (see `Reader.companions`) is none by itself.

    Raises:
        UnusableEcg: the system does not let the file be read.
    """
    head = first_bytes(path, HEAD_BYTES)
    return next((reader for reader in READERS.values() if reader.matches(head)), None)
