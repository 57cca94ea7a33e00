"""The PhysioNet/CinC Challenge 2021: training/COLLECTION/gNUMBER/NAME.hea and .mat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from public_sets.signals import write_record

# collection → how its records are named, and the diagnoses of its recordings in turn
COLLECTIONS = {
    "chapman_shaoxing": ("JS{:05}", ["164889003", "426177001,164934002"]),
    "cpsc_2018": ("A{:04}", ["59118001", "713427006", "164909002"]),
    "georgia": ("E{:05}", ["426783006", "63593006,111975006", "284470004", "17338001"]),
    "ningbo": ("JS{:05}", ["733534002,427172004", "365413008"]),
    "ptb": ("S{:04}", ["164865005", "426783006,164865005"]),
    "ptb-xl": ("HR{:05}", ["426783006", "164867002,59931005"]),
    "cpsc_2018_extra": ("Q{:04}", ["10370003", "426783006"]),
}
LABELS = {
    "164889003": "AF",
    "426177001": "SB",
    "164934002": "TAb",
    "59118001": "CRBBB",
    "713427006": "CRBBB",
    "164909002": "CLBBB",
    "733534002": "CLBBB",
    "426783006": "NSR",
    "63593006": "PAC",
    "284470004": "PAC",
    "17338001": "PVC",
    "427172004": "PVC",
    "111975006": "LQT",
    "365413008": "PRWP",
    "59931005": "TInv",
    "10370003": "PR",
    "164865005": "snomed:164865005",
    "164867002": "snomed:164867002",
}


@dataclass(frozen=True)
class Told:
    """What the set says of a recording."""

    labels: frozenset[str]
    age: float | None
    sex: float | None
    site: str


def write_challenge(folder: Path, each: int = 4, *, waveforms: bool = True) -> dict[str, Told]:
    """`each` recordings in every collection; the answers by the recording's path.

    The first recording of a collection has no age, the second no sex; every third header is as some of the set's own,
    with ".mat" in the record's name and a copy beside it.
    """
    answers = {}
    for place, (part, (name, diagnoses)) in enumerate(COLLECTIONS.items()):
        for i in range(each):
            number = 1000 * place + i + 1
            header = folder / "training" / part / "g1" / f"{name.format(number)}.hea"
            age, sex, codes = (None, 20 + i)[i > 0], (None, "Female", "Male")[(i != 1) * (1 + i % 2)], diagnoses
            dx = codes[i % len(codes)]
            comments = (
                f"#Age: {age or 'NaN'}",
                f"#Sex: {sex or 'Unknown'}",
                f"#Dx: {dx}",
                "#Rx: Unknown",
                "#Hx: Unknown",
                "#Sx: Unknown",
            )
            if waveforms:
                write_record(header, number, ending="mat", storage="16+24", comments=comments)
            else:
                header.parent.mkdir(parents=True, exist_ok=True)
                header.write_text("\n".join([f"{header.stem} 12 500 5000 12-May-2020 12:33:59", *comments]) + "\n")
            if i % 3 == 2:
                text = header.read_text().replace(f"{header.stem} ", f"{header.stem}.mat ", 1)
                header.write_text(text)
                header.with_name(f"{header.name}.orig").write_text(text)
            answers[header.relative_to(folder).as_posix()] = Told(
                frozenset(LABELS[code] for code in dx.split(",")),
                age,
                {None: None, "Female": 1.0, "Male": 0.0}[sex],
                part,
            )
    return answers
