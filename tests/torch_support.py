"""Writes files as PyTorch does, without PyTorch."""

import io
import pickle
import zipfile


class Named:
    """Pickled as a name of the module `torch`, which need not be there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Stored:
    def __init__(self, kind, key, count):
        self.pid = ("storage", Named("torch", kind), key, "cpu", count)


class Call:
    """Pickled as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Pickler(pickle._Pickler):
    """Writes what PyTorch writes, without PyTorch."""

    def persistent_id(self, thing):
        return thing.pid if isinstance(thing, Stored) else None

    def save(self, thing, **options):
        if isinstance(thing, Named):
            self.write(b"c" + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, Call):
            self.save(thing.function)
            self.save(thing.arguments)
            self.write(b"R")
        else:
            super().save(thing, **options)


def pickled(thing):
    file = io.BytesIO()
    Pickler(file, protocol=2).dump(thing)
    return file.getvalue()


def tensor(shape, strides, *, offset=0, kind="FloatStorage", key="7", count=12):
    rebuild = Named("torch._utils", "_rebuild_tensor_v2")
    stored = Stored(kind, key, count)
    return Call(rebuild, stored, offset, shape, strides)


def as_zip(state, numbers):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("net/data.pkl", pickled(state))
        for key, array in numbers.items():
            archive.writestr(f"net/data/{key}", array.tobytes())
    return file.getvalue()


def as_old(state, numbers):
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state, list(numbers)]
    tail = [array.size.to_bytes(8, "little") + array.tobytes() for array in numbers.values()]
    return b"".join([*map(pickled, head), *tail])
