"""Lets torchvision be imported beside a PyTorch without CUDA: declares the operators it misses."""

import contextlib

import torch

with contextlib.suppress(RuntimeError):
    _library = torch.library.Library("torchvision", "FRAGMENT")
    _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
