import io
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_support import Call, Named, as_old, as_zip, pickled, tensor

from dnncli.errors import ModelError
from dnncli.networks.torchfile import read_tensors

NUMBERS = np.arange(12, dtype="<f4")


def written(tmp_path, content):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("layout", [as_zip, as_old])
def test_tensors_are_views_of_their_numbers_in_the_order_of_the_file(layout, tmp_path):
    state = OrderedDict(
        second=tensor((2, 3), (3, 1), offset=6),
        first=tensor((3, 2), (1, 3)),  # transposed
        count=tensor((), (), kind="LongStorage", key="8", count=1),
    )
    found = read_tensors(
        written(tmp_path, layout(state, {"7": NUMBERS, "8": np.array([5], "<i8")}))
    )
    assert list(found) == ["second", "first", "count"]
    assert found["second"].tolist() == [[6, 7, 8], [9, 10, 11]]
    assert found["first"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["count"].item() == 5


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_kept_beside_the_state_of_a_training_script_are_found(key, tmp_path):
    state = {"epoch": 3, key: OrderedDict(w=tensor((12,), (1,)))}
    found = read_tensors(written(tmp_path, as_zip(state, {"7": NUMBERS})))
    assert found["w"].tolist() == NUMBERS.tolist()


def test_a_parameter_is_read_as_its_tensor(tmp_path):
    wrapped = Call(Named("torch._utils", "_rebuild_parameter"), tensor((2,), (1,)))
    found = read_tensors(written(tmp_path, as_zip({"w": wrapped}, {"7": NUMBERS})))
    assert found["w"].tolist() == [0, 1]


def test_code_inside_a_file_is_refused_and_not_run(tmp_path):
    evil = Call(Named("os", "mkdir"), str(tmp_path / "made"))
    path = written(tmp_path, as_zip({"w": evil}, {}))
    with pytest.raises(ModelError, match=r"net.pth: .*more than tensors \(os.mkdir\).*state_dict"):
        read_tensors(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "state",
    [
        tensor((13,), (1,)),
        tensor((2,), (1,), offset=11),
        tensor((2,), (-1,)),
        tensor((2,), (1,), offset=-1),
        tensor((10**12,), (0,)),
        tensor((10**30,), (0,)),
    ],
    ids=["too long", "too far", "backwards", "before the first", "repeated", "beyond 64 bits"],
)
def test_a_tensor_that_reaches_outside_its_numbers_is_refused(state, tmp_path):
    path = written(tmp_path, as_zip({"w": state}, {"7": NUMBERS}))
    with pytest.raises(ModelError, match="outside its numbers"):
        read_tensors(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("layout", [as_zip, as_old])
def test_a_file_cut_short_is_an_error_that_names_it(layout, keep, tmp_path):
    whole = layout(OrderedDict(w=tensor((12,), (1,))), {"7": NUMBERS})
    path = written(tmp_path, whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError, match="net.pth: is not a PyTorch file"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"text", pickled([1, 2])])
def test_other_files_are_an_error_that_names_them(content, tmp_path):
    with pytest.raises(ModelError, match="net.pth: is not a PyTorch file"):
        read_tensors(written(tmp_path, content))


def test_a_tensor_without_numbers_is_read(tmp_path):
    state = {"none": tensor((0, 3), (3, 1)), "w": tensor((12,), (1,))}
    found = read_tensors(written(tmp_path, as_zip(state, {"7": NUMBERS})))
    assert found["none"].shape == (0, 3)
    assert found["w"].tolist() == NUMBERS.tolist()


def test_a_file_cannot_change_how_others_are_read(tmp_path):
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    state = (None, {"array": Named("collections", "OrderedDict")})
    bad = tmp_path / "bad.pth"
    with zipfile.ZipFile(bad, "w") as archive:  # what is called is given attributes
        archive.writestr("data.pkl", pickled(rebuild)[:-1] + pickled(state)[2:-1] + b"b.")
    with pytest.raises(ModelError, match="bad.pth: is not a PyTorch file"):
        read_tensors(bad)
    found = read_tensors(written(tmp_path, as_zip({"w": tensor((12,), (1,))}, {"7": NUMBERS})))
    assert found["w"].tolist() == NUMBERS.tolist()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_with_wrong_bytes_is_read_or_refused_by_name(compression, tmp_path):
    whole = zipfile.ZipFile(io.BytesIO(as_zip({"w": tensor((12,), (1,))}, {"7": NUMBERS})))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        content = bytearray(packed.getvalue())
        content[rng.integers(len(content))] = rng.integers(256)
        try:
            read_tensors(written(tmp_path, content))
        except ModelError as error:
            refused += "net.pth" in str(error)
    assert 0 < refused < 500
