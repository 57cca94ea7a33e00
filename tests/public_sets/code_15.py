"""CODE-15 %: exams.csv and exams_partN.hdf5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ecg_samples.code_15 import write_code15
from public_sets.signals import beats

HEADER = "exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file"
LABELS = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF")


def write_exams(folder: Path, patients: int, *, waveforms: bool = True) -> dict[str, tuple[str, set[str]]]:
    """Exams of some patients in two parts, every fourth patient with two; source → (patient, labels).

    Patient k has the label number k modulo 7, and none where that is 6. Exam ids fall while the rows go on, and are
    in no order of the parts, as in the set.
    """
    rows, answers, exams = [HEADER], {}, 0
    parts: dict[int, list[int]] = {0: [], 1: []}
    for k in range(patients):
        for visit in range(1 + (k % 4 == 0)):
            exam, part = 900_000 - 7 * exams, exams % 2
            labels = [k % 7 == i for i in range(6)]
            follow_up = "False,1.5" if visit == 0 else ","
            cells = [exam, 17 + k % 80, k % 2 == 0, 40.25, *labels, 500_000 + k, follow_up, k % 7 == 6]
            rows.append(",".join(map(str, [*cells, f"exams_part{part}.hdf5"])))
            answers[f"exams_part{part}.hdf5#{exam}"] = (
                str(500_000 + k),
                {label for label, there in zip(LABELS, labels, strict=True) if there},
            )
            parts[part].append(exam)
            exams += 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exams.csv").write_text("\n".join(rows) + "\n")
    for part, ids in parts.items() if waveforms else ():
        tracings = np.stack([beats(exam, rate=400, samples=4096).T / np.float32(1000) for exam in ids])
        write_code15(folder / f"exams_part{part}.hdf5", tracings.astype(np.float32), np.array(ids))
    return answers
