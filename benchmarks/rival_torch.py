"""A plain PyTorch training of timm's network of that name, channels last.

python rival_torch.py NETWORK ARRAYS.npz BATCH EPOCHS float32|bfloat16
"""

import json
import resource
import sys
import time
from statistics import median

import numpy as np
import torch
import torch_ops  # noqa: F401, before timm

import timm  # isort: skip

network, path, batch, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
is_half = sys.argv[5] == "bfloat16"
arrays = np.load(path)
torch.manual_seed(0)
model = timm.create_model(network, num_classes=int(arrays["y_train"].max()) + 1)
model = model.to(memory_format=torch.channels_last).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
loss_of = torch.nn.CrossEntropyLoss()
images = torch.from_numpy(arrays["x_train"]).permute(0, 3, 1, 2)
labels = torch.from_numpy(arrays["y_train"].astype(np.int64))
began = time.perf_counter()
steps = []
for epoch in range(epochs):
    if epoch == 1:
        later = time.perf_counter()
    for rows in torch.randperm(len(images)).split(batch):
        start = time.perf_counter()
        x = (images[rows].float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            loss = loss_of(model(x), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        if epoch:
            steps.append(time.perf_counter() - start)
now = time.perf_counter()
took = {"fit": now - began, "later_epochs": now - later, "step": median(steps)}
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps(took | {"memory": memory}))
