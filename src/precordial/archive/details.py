"""What a set's own tables say about one recording, beside what its file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from precordial.ecg import Ecg, Flag, Sex


@dataclass(frozen=True, slots=True)
class Details:
    """One recording, as its set's tables describe it.

    Attributes:
        patient_id: the patient; it takes the place of the file's.
        recorded_at: local date and time; it takes the place of the file's also where it is None: the times in some
            sets' files are those of a conversion.
        age: years; None: as the file says.
        sex: None: as the file says.
        device: model of the electrocardiograph; None: as the file says.
        site: where it was recorded; None: as the file says.
        flags: noticed in the tables, such as `Flag.AGE_ABOVE_89`; they are added to the file's.
    """

    patient_id: str
    recorded_at: datetime | None = None
    age: float | None = None
    sex: Sex | None = None
    device: str | None = None
    site: str | None = None
    flags: Flag = field(default=Flag(0))

    def applied_to(self, ecg: Ecg) -> Ecg:
        """The recording with these details in place of its file's.

        >>> import numpy as np
        >>> ecg = Ecg(np.zeros((1, 10), np.float32), 500, ("I",), recorded_at=datetime(2020, 5, 12), age=74)
        >>> ecg = Details("A0001", sex="male").applied_to(ecg)
        >>> ecg.patient_id, ecg.recorded_at, ecg.age, ecg.sex
        ('A0001', None, 74, 'male')
        """
        return replace(
            ecg,
            patient_id=self.patient_id,
            recorded_at=self.recorded_at,
            age=ecg.age if self.age is None else self.age,
            sex=self.sex or ecg.sex,
            device=self.device or ecg.device,
            site=self.site or ecg.site,
            flags=ecg.flags | self.flags,
        )


# From a recording's name in the archive (the file's path below the folder that is read, and #NAME for one of several
# in a file) to its details; None where the tables do not have it.
FindDetails = Callable[[str], Details | None]
