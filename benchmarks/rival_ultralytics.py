"""Ultralytics' `classify` training on class folders: its smallest network from scratch, defaults.

    python rival_ultralytics.py DATA EPOCHS LIMIT

As rival_fastai.py.
"""

import json
import sys
import tempfile
import time

began = time.perf_counter()
import torch_ops  # noqa: E402, F401
from ultralytics import YOLO  # noqa: E402

reached, last = 0.0, 0.0


def watch(trainer) -> None:
    """Stop at 90 % or when time is over."""
    global reached, last
    now = time.perf_counter() - began
    last = float(trainer.metrics["metrics/accuracy_top1"])
    if last >= 0.9:
        reached = now
    trainer.stop = bool(reached) or now > float(sys.argv[3])


model = YOLO("yolo11n-cls.yaml")
model.add_callback("on_fit_epoch_end", watch)
with tempfile.TemporaryDirectory() as folder:
    model.train(
        data=sys.argv[1], epochs=int(sys.argv[2]), project=folder, plots=False, verbose=False
    )
print(json.dumps({"to_90": reached, "accuracy": last, "took": time.perf_counter() - began}))
