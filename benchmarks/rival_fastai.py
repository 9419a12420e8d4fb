"""fastai's usual training on class folders: ResNet-18 from scratch, its defaults, one cycle.

    python rival_fastai.py DATA EPOCHS LIMIT

Prints the seconds since the start of this process after which the test rows were first right to
90 %, and the last accuracy; stops after LIMIT seconds.
"""

import json
import sys
import time

began = time.perf_counter()
import torch_ops  # noqa: E402, F401
from fastai.callback.core import Callback, CancelFitException  # noqa: E402
from fastai.metrics import accuracy  # noqa: E402
from fastai.vision.all import ImageDataLoaders, resnet18, vision_learner  # noqa: E402

reached = 0.0


class Watch(Callback):
    """Stops at 90 % or when time is over."""

    def after_epoch(self) -> None:
        """Look at the test rows."""
        global reached
        now = time.perf_counter() - began
        if self.recorder.values[-1][-1] >= 0.9:
            reached = now
        if reached or now > float(sys.argv[3]):
            raise CancelFitException


loaders = ImageDataLoaders.from_folder(sys.argv[1], train="train", valid="test", num_workers=2)
learner = vision_learner(loaders, resnet18, pretrained=False, metrics=accuracy, cbs=Watch())
with learner.no_bar(), learner.no_logging():
    learner.fit_one_cycle(int(sys.argv[2]))
last = learner.recorder.values[-1][-1]
print(json.dumps({"to_90": reached, "accuracy": last, "took": time.perf_counter() - began}))
