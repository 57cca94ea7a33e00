"""The errors a user can cause, each with its place and its remedy in one line.

Every message reads ``file, row 3, column 'arrival': what is wrong; remedy``. The command line prints it as
it is and exits with code 2. Messages never quote patient ids, names or other cell contents that could
identify a person; they name the place where the user can look.
"""

from __future__ import annotations

from pathlib import Path


class PrecordialError(Exception):
    """A mistake in what the user gave, said in one line.

    Args:
        problem: what is wrong, without a final stop.
        file: the file it is in.
        row: row in the file, counted as a spreadsheet does (the header is row 1).
        column: column of a table.
        key: dotted key of a settings file.
        remedy: what to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
        key: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.row, self.column = problem, file, row, column
        self.key, self.remedy = key, remedy
        places = [
            str(file) if file is not None else "",
            f"row {row}" if row is not None else "",
            f"column '{column}'" if column is not None else "",
            f"key '{key}'" if key is not None else "",
        ]
        place = ", ".join(part for part in places if part)
        text = f"{place}: {problem}" if place else problem
        super().__init__(f"{text}; {remedy}" if remedy else text)


class SettingsError(PrecordialError):
    """A study file or a setting that cannot be understood."""


class RegisterError(PrecordialError):
    """A register or label table with a missing column or an impossible value."""


class ArchiveError(PrecordialError):
    """An archive that is missing, damaged, in use, or of another shape."""


class LeakageError(PrecordialError):
    """The guard found a leak; the message lists the offending rows."""


class ModelError(PrecordialError):
    """A model, checkpoint or input that do not fit together."""


class UnusableEcg(PrecordialError):
    """A file that is no ECG, or an ECG that the study cannot use.

    Attributes:
        reason: one of `REASONS`, the word that the rejects table and the flow chart count.
    """

    def __init__(self, reason: str, problem: str, *, file: str | Path | None = None, remedy: str | None = None) -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}")
        self.reason = reason
        super().__init__(problem, file=file, remedy=remedy)


REASONS: dict[str, str] = {
    "not-an-ecg": "no reader knows this file",
    "unreadable": "the file is damaged, truncated or breaks its own format",
    "unsupported": "a variant of the format that is not read",
    "no-patient-id": "the patient id is missing",
    "no-time": "the date or time is missing or is not a date",
    "bad-checksum": "a waveform checksum does not match",
    "no-rhythm": "the rhythm waveform is missing",
    "missing-lead": "one of the eight leads is missing and cannot be derived",
    "flat-lead": "one of the eight leads is entirely flat",
    "too-short": "the recording is shorter than the archive's length",
    "duplicate": "an ECG with the same content is already in the archive",
}
