"""The TFRecord file format: length-delimited, checksummed `tf.train.Example` messages.

Neither reading nor writing needs TensorFlow. One record is an unsigned 64-bit length, the masked
CRC-32C of those 8 bytes, the data, and the masked CRC-32C of the data, all little-endian.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

import functools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dnncli.errors import DataError

Value = list[bytes] | list[int] | list[float]

_HEAD = struct.Struct("<QI")
_CRC = struct.Struct("<I")


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted by a constant as TFRecord stores it."""
    import google_crc32c

    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def write_record(file: BinaryIO, data: bytes) -> None:
    """Append one record."""
    length = struct.pack("<Q", len(data))
    file.write(length + _CRC.pack(masked_crc(length)))
    file.write(data)
    file.write(_CRC.pack(masked_crc(data)))


def records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset in bytes of the data of every record, and the data, in order.

    Raises:
        DataError: if the file is compressed, is no TFRecord file, is cut in the middle of a
            record, or a checksum is wrong; naming file and record, counted from 0.
    """
    size = path.stat().st_size
    number, at = 0, 0
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            where = f"{path}: record {number} (counted from 0), at byte {at:,}"
            if number == 0 and head[:2] == b"\x1f\x8b":
                raise DataError(f"{path}: is compressed with gzip. Unpack it with gunzip first.")
            length, crc = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, -1)
            if crc >= 0 and crc != masked_crc(head[:8]):
                if number == 0:
                    raise DataError(f"{path}: is no TFRecord file: its first checksum is wrong.")
                raise DataError(f"{where}: the checksum of its length is wrong. Fetch it again.")
            if crc < 0 or at + _HEAD.size + length + _CRC.size > size:
                raise DataError(
                    f"{where}: the file ends in the middle of it, after {size:,} bytes. "
                    "Fetch or write the file again."
                )
            data, check = file.read(length), file.read(_CRC.size)
            if _CRC.unpack(check)[0] != masked_crc(data):
                raise DataError(f"{where}: the checksum of its data is wrong. Fetch it again.")
            yield at + _HEAD.size, data
            at += _HEAD.size + length + _CRC.size
            number += 1


def looks_like_records(path: Path) -> bool:
    """Whether a file starts like a TFRecord file: its first length has the right checksum."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    return len(head) == _HEAD.size and _HEAD.unpack(head)[1] == masked_crc(head[:8])


def parse(data: bytes) -> dict[str, Value]:
    """Features of a serialised `tf.train.Example`; features without any value are left out.

    Raises:
        ValueError: if it is none.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    example = _message()()
    try:
        example.ParseFromString(data)
    except DecodeError as error:
        raise ValueError("not a tf.train.Example.") from error
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        if values:
            found[name] = values
    return found


def serialise(features: Mapping[str, Value]) -> bytes:
    """Features as a `tf.train.Example`, the same bytes every time.

    Raises:
        TypeError: if a list is empty, or its values are neither bytes, int nor float.
    """
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    example = _message()()
    for name, values in features.items():
        kind = kinds.get(type(values[0])) if values else None
        if kind is None:
            raise TypeError(f"feature '{name}': values must be bytes, int or float. Got {values}.")
        getattr(example.features.feature[name], kind).value.extend(values)
    return example.SerializeToString(deterministic=True)


@functools.cache
def _message() -> Any:
    """The class of `tf.train.Example`, in a pool of its own so that TensorFlow's is not in the way.

    Source: tensorflow/core/example/{example,feature}.proto
    """
    from google.protobuf import (  # type: ignore[import-untyped]
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example", package="tensorflow", syntax="proto3")

    def message(owner: Any, name: str, *fields: tuple[str, int, str]) -> Any:
        made = owner.add(name=name)
        for number, (field_name, kind, type_name) in enumerate(fields, start=1):
            made.field.add(
                name=field_name,
                number=number,
                type=kind,
                type_name=type_name or None,
                label=field.LABEL_OPTIONAL,
            )
        return made

    lists = (("BytesList", "BYTES"), ("FloatList", "FLOAT"), ("Int64List", "INT64"))
    for name, kind in lists:
        made = message(file.message_type, name, ("value", getattr(field, f"TYPE_{kind}"), ""))
        made.field[0].label = field.LABEL_REPEATED
    names = ("bytes_list", "float_list", "int64_list")
    kinds = [
        (name, field.TYPE_MESSAGE, f".tensorflow.{kind}")
        for name, (kind, _) in zip(names, lists, strict=True)
    ]
    feature = message(file.message_type, "Feature", *kinds)
    feature.oneof_decl.add(name="kind")
    for entry in feature.field:
        entry.oneof_index = 0
    features = message(
        file.message_type,
        "Features",
        ("feature", field.TYPE_MESSAGE, ".tensorflow.Features.FeatureEntry"),
    )
    features.field[0].label = field.LABEL_REPEATED
    pair = message(
        features.nested_type,
        "FeatureEntry",
        ("key", field.TYPE_STRING, ""),
        ("value", field.TYPE_MESSAGE, ".tensorflow.Feature"),
    )
    pair.options.map_entry = True
    message(file.message_type, "Example", ("features", field.TYPE_MESSAGE, ".tensorflow.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
