"""What is known of the machine."""

import pytest

import dnncli
from dnncli import devices


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu sse2 avx512f avx512_bf16\n", True),
        ("flags : amx_tile amx_bf16\n", True),
        ("flags : fpu avx2\n", False),
        ("model name : avx512_bf16\nflags : fpu\n", False),
        ("", False),
    ],
)
def test_bfloat16_is_read_from_the_flags_of_the_processor(text, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert devices.has_bfloat16(tmp_path / "cpuinfo") is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags : fpu avx avx2 fma\n", True),
        ("flags : fpu avx2 avx512f\n", True),
        ("flags : fpu avx2 avx512f avx512_vnni\n", False),
        ("flags : fpu avx\n", False),
        ("", False),
    ],
)
def test_onednn_is_asked_for_where_tensorflow_leaves_it_off(text, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert devices.needs_onednn(tmp_path / "cpuinfo") is expected


def test_a_system_that_does_not_say_has_none(tmp_path):
    assert devices.has_bfloat16(tmp_path / "none") is False
    assert devices.needs_onednn(tmp_path / "none") is False


@pytest.mark.parametrize(("has", "settled"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_settled_by_the_plan(has, settled, fashion, monkeypatch):
    monkeypatch.setattr(devices, "has_bfloat16", lambda: has)
    told = dnncli.train(fashion, precision="auto", dry_run=True)
    assert f'precision = "{settled}"' in told["config"]
