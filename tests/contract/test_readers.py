"""What every reader of `READERS` must do: read its own files right, and damaged ones not wrongly.

Each format has a sample here (the first test fails for a reader without one) and an independent decoder.
"""

import random
import re
from pathlib import Path

import numpy as np
import pytest

from ecg_samples import SAMPLES, Sample
from precordial.ecg import EIGHT, TWELVE, normalise
from precordial.errors import PrecordialError, UnusableEcg
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
    assert (ecg.sex, ecg.age is not None, ecg.flags) == ("female", True, 0)
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


def fails_or_reads(path: Path) -> None:
    """Reading ends in an error of ours, or in a well-formed ECG; `companions` never raises."""
    for reader in READERS.values():
        reader.companions(path)
    try:
        ecg = read_ecg(path)
        normalise(ecg)
    except PrecordialError:
        return
    assert np.isfinite(ecg.signal).all()


def damage(path: Path, random_: random.Random) -> None:
    """One of: cut, bits flipped, a line left out or doubled, a number or a field replaced."""
    data = bytearray(path.read_bytes())
    kind = random_.randrange(5)
    if kind == 0:
        del data[random_.randrange(len(data)) :]
    elif kind == 1:
        for _ in range(random_.choice((1, 3, 30))):
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
    elif kind == 2:
        lines = data.split(b"\n")
        i = random_.randrange(min(len(lines), 40))
        lines[i : i + 1] = [] if random_.random() < 0.5 else [lines[i], lines[i]]
        data = bytearray(b"\n".join(lines))
    else:
        fields = list(re.finditer(rb"[\w.+/-]+", bytes(data[:4000])))
        field = random_.choice(fields)
        odd = [b"", b"0", b"-1", b"1e400", b"nan", b"9" * 5000, b"999999999", b"../x", b"\xff\xb5", b"\0", b"x" * 300]
        data[field.start() : field.end()] = random_.choice(odd)
    path.write_bytes(bytes(data))


def damage_and_read(name: str, sample: Sample, folder: Path, count: int) -> None:
    path = sample.write(folder)
    files = [path, *READERS[name].companions(path)]
    whole = {file: file.read_bytes() for file in files}
    random_ = random.Random(name)
    for _ in range(count):
        damage(random_.choices(files, [3, 1][: len(files)])[0], random_)
        fails_or_reads(path)
        for file, data in whole.items():
            file.write_bytes(data)


@pytest.mark.parametrize("name", READERS)
def test_damage(name: str, tmp_path: Path) -> None:
    damage_and_read(name, SAMPLES[name], tmp_path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_damage_often(name: str, tmp_path: Path) -> None:
    damage_and_read(name, SAMPLES[name], tmp_path, 200)


def flip_waveform_bits(name: str, sample: Sample, folder: Path, count: int) -> None:
    """No single wrong bit among the stored samples may go unnoticed."""
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


@pytest.mark.parametrize("name", READERS)
def test_a_wrong_bit_is_noticed(name: str, tmp_path: Path) -> None:
    flip_waveform_bits(name, SAMPLES[name], tmp_path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
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
