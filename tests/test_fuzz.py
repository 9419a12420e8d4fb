"""Damaged files are read or refused with our own errors: no traceback, no hang.

A sample; `python benchmarks/fuzz.py --inputs 100000` is the long form, with the same damage.
`HYPOTHESIS_PROFILE=long` tries a hundred times as many here.
"""

import io
import os
import tokenize
import zipfile

import fuzz_support
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnncli.data.arrays import read_arrays
from dnncli.data.detect import open_dataset
from dnncli.data.header import look
from dnncli.data.maps import open_maps
from dnncli.errors import DataError

settings.register_profile("long", max_examples=2500)
COUNT = 2500 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 25
KINDS = (
    *("predictions csv", "truth csv", "predictions parquet", "predictions npz", "manifest csv"),
    *("manifest parquet", "split csv", "tfrecord", "arrays npz", "maps npz", "settings toml"),
    *("policy toml", "pictures", "run.json", "seeds.json", "thresholds.json", "class names"),
    *("keras", "backup npz"),
)
EDIT = st.tuples(st.integers(0, 6), st.integers(0, 2**20), st.integers(0, 2**16 - 1))


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return fuzz_support.readers(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def test_every_reader_is_tried(readers):
    assert set(KINDS) == set(readers)


@pytest.mark.parametrize("kind", KINDS)
def test_sound_files_are_read(readers, folder, kind):
    reader = readers[kind]
    if kind.startswith(("manifest", "split")):
        return  # they point to pictures beside them
    for sample in reader.samples:
        (folder / reader.file).write_bytes(sample)
        reader.read(folder / reader.file)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(readers, folder, kind):
    reader = readers[kind]

    @settings(
        max_examples=COUNT,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(sample=st.sampled_from(reader.samples), edits=st.lists(EDIT, min_size=1, max_size=8))
    def tried(sample, edits):
        assert fuzz_support.trouble(reader, folder, fuzz_support.damaged(sample, edits)) == ""

    tried()


# What the long form has found.


def npy(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(64)


@pytest.mark.parametrize("header", ["{'descr': '<f8', (", "{'descr': '<f8'", "(((", "1 +"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_is_no_python_is_refused(tmp_path, header, method):
    for name in ("x.npy", "maps.npy"):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", method) as file:
            file.writestr(name, npy(header))
            file.writestr("ids.npy", npy(header))
        with pytest.raises(DataError, match="d.npz"):
            read_arrays(tmp_path / "d.npz", labelled=False)
        with pytest.raises(DataError, match="d.npz"):
            open_maps(tmp_path / "d.npz")
    assert not issubclass(tokenize.TokenError, ValueError)  # which NumPy raises there


@pytest.mark.parametrize("packed", [False, True])
def test_text_of_characters_that_do_not_exist_is_refused(tmp_path, packed):
    buffer = io.BytesIO()
    ids = np.array([0x110000, 0x61], "<u4").view("<U1")
    np.savez(buffer, ids=ids, maps=np.zeros((2, 3, 3), np.uint8))
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(tmp_path / "d.npz", "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(DataError, match="characters that do not exist"):
        open_maps(tmp_path / "d.npz")


def test_a_damaged_avif_is_named():
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "AVIF")
    data = buffer.getvalue()
    place = data.index(b"mdat") + 4
    seen = look(data[:place] + bytes(len(data) - place))
    assert "damaged AVIF" in seen.problem


def test_a_path_that_no_file_can_have_is_named(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"path,label\na\0b.png,x\nc.png,y\n")
    with pytest.raises(DataError, match="no name that a file can have"):
        open_dataset(tmp_path / "m.csv")
