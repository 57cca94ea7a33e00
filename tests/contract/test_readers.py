"""What every reader of `READERS` must do: read its own files right, and damaged ones not wrongly.

Each format has a sample in `ecg_samples` (the first test fails for a reader without one) with an independent decoder;
`ecg_samples.damage` is what is done to it.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ecg_samples import SAMPLES, Sample
from precordial.ecg import EIGHT, TWELVE, normalise
from precordial.errors import UnusableEcg
from precordial.formats import READERS, find_reader, read_ecg


def check_equal(path: Path, sample: Sample) -> None:
    rate, leads, traces = sample.decode(path)
    ecg = read_ecg(path)
    assert ecg.rate == rate
    assert [lead.upper() for lead in ecg.leads] == [lead.upper() for lead in leads]
    assert set(ecg.leads) <= set(TWELVE)
    assert ecg.signal.dtype == np.float32
    assert ecg.signal.flags.c_contiguous
    expected = np.array(traces)
    if sample.exact:  # amplitudes to half a float32 step, and so also the time of every sample
        assert np.array_equal(ecg.signal, expected.astype(np.float32))
    else:
        assert ecg.signal.shape == expected.shape
        assert np.abs(ecg.signal - expected).max() <= (ecg.uv_per_unit or 1.0) / 1000
    if ecg.uv_per_unit is not None:
        units = ecg.signal.astype(float) * 1000 / ecg.uv_per_unit
        assert np.abs(units - np.round(units)).max() < 0.01  # whole: the file's own integers can be had again


def test_every_reader_has_a_sample() -> None:
    assert set(SAMPLES) == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_sample(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name].write(tmp_path)
    renamed = path.rename(path.with_name("without_a_known.suffix"))  # the content decides, not the name
    assert find_reader(renamed) is READERS[name]
    check_equal(renamed, SAMPLES[name])
    ecg = read_ecg(renamed)
    assert ecg.source == name
    wanted = ("female", True) if SAMPLES[name].demographics else (None, False)
    assert (ecg.sex, ecg.age is not None, ecg.flags) == (*wanted, 0)
    assert normalise(ecg).leads == EIGHT


@pytest.mark.parametrize("name", READERS)
def test_real_files(name: str, shared_data: Path) -> None:
    paths = [path for pattern in SAMPLES[name].real for path in sorted(shared_data.glob(pattern))]
    assert len(paths) >= len(SAMPLES[name].real)
    for path in paths:
        assert find_reader(path) is READERS[name]
        check_equal(path, SAMPLES[name])


@pytest.mark.parametrize("name", READERS)
def test_companions_are_no_ecgs_of_their_own(name: str, tmp_path: Path) -> None:
    path = SAMPLES[name].write(tmp_path)
    companions = READERS[name].companions(path)
    assert {path, *companions} == set(tmp_path.iterdir())
    assert all(find_reader(file) is None for file in companions)


def damage_and_read(name: str, folder: Path, count: int) -> None:
    """Damage the format's sample `count` times and read it, in a process that watches its own time and memory."""
    command = [sys.executable, "-m", "ecg_samples.damage", name, str(count), str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, timeout=30 + 2 * count)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", READERS)
def test_damage(name: str, tmp_path: Path) -> None:
    damage_and_read(name, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damage_often(name: str, tmp_path: Path) -> None:
    damage_and_read(name, tmp_path, 200)


CHECKED = [name for name, sample in SAMPLES.items() if sample.checksum]


def flip_waveform_bits(name: str, sample: Sample, folder: Path, count: int) -> None:
    """No single wrong bit among the stored samples may go unnoticed where the format has checksums over them."""
    path = sample.write(folder)
    right = read_ecg(path).signal
    file, start, stop = sample.waveform(path)
    data = file.read_bytes()
    random_ = random.Random(name)
    reasons = set()
    for _ in range(count):
        at = random_.randrange(start, stop)
        wrong = bytearray(data)
        wrong[at] ^= 1 << random_.randrange(8)
        file.write_bytes(bytes(wrong))
        try:
            read = read_ecg(path).signal
        except UnusableEcg as error:
            reasons.add(error.reason)
        else:  # in white space, or in the unused bits of the last base64 letter
            assert np.array_equal(read, right)
    assert "bad-checksum" in reasons
    assert reasons <= {"bad-checksum", "unreadable"}


@pytest.mark.parametrize("name", CHECKED)
def test_a_wrong_bit_is_noticed(name: str, tmp_path: Path) -> None:
    flip_waveform_bits(name, SAMPLES[name], tmp_path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_a_wrong_bit_is_noticed_often(name: str, tmp_path: Path) -> None:
    flip_waveform_bits(name, SAMPLES[name], tmp_path, 200)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("part", [0.001, 0.5, 0.999])
def test_a_truncated_waveform_is_unreadable(name: str, part: float, tmp_path: Path) -> None:
    path = SAMPLES[name].write(tmp_path)
    file, start, stop = SAMPLES[name].waveform(path)
    file.write_bytes(file.read_bytes()[: start + int((stop - start) * part)])
    with pytest.raises(UnusableEcg) as caught:
        read_ecg(path)
    assert caught.value.reason == "unreadable"
    assert caught.value.file == file
