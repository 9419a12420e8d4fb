"""The backup file: what goes in comes out, bit for bit."""

import numpy as np
import pytest

from dnncli.errors import ModelError
from dnncli.training import backup
from dnncli.training.backup import TrainState


def test_a_backup_comes_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 1, 4), (4,), ())]
    state = TrainState(
        epoch=3,
        history=[{"epoch": 0, "loss": 0.1 + 0.2}],
        best_value=1 / 3,
        stopping={"wait": 2, "best": 0.1},
    )
    path = tmp_path / "backup" / "state.npz"
    backup.save(path, state, variables=arrays, optimizer=arrays[:1], best=arrays[1:])
    read = backup.load(path)
    assert read.state == state
    for before, after in ((arrays, read.variables), (arrays[:1], read.optimizer)):
        assert [value.tobytes() for value in before] == [value.tobytes() for value in after]
    assert len(read.best) == 2


def test_a_damaged_backup_is_named(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ModelError, match=r"state\.npz: cannot be read"):
        backup.load(path)


def test_a_failed_save_leaves_the_old_backup_whole(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    backup.save(path, TrainState(epoch=1), variables=[], optimizer=[], best=[])

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        backup.save(path, TrainState(epoch=2), variables=[], optimizer=[], best=[])
    assert backup.load(path).state.epoch == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.npz"]


def test_a_backup_of_another_network_is_refused():
    class Variable:
        shape = (2, 2)

    with pytest.raises(ModelError, match="does not fit the network: it holds 1 variables, 1 are"):
        backup.assign([Variable()], [np.zeros(3)], what="network")
