"""Small data sets of pictures with masks, in memory."""

from pathlib import Path

import numpy as np

from dnncli.data.dataset import UNLABELLED, ArrayImages, Dataset, Masks


def mask_dataset(pictures, masks, *, values=None, class_names=("background", "thing"), splits=None):
    """Pictures (N, H, W, c) in one array, and a mask (H, W) of class indices for each."""
    rows = np.arange(len(pictures), dtype=np.int64)
    return Dataset(
        kind="numpy",
        root=Path("memory"),
        ids=tuple(str(row) for row in rows),
        labels=np.full(len(rows), UNLABELLED, np.int32),
        class_names=class_names,
        splits=np.full(len(rows), "") if splits is None else np.array(splits),
        images=ArrayImages(
            arrays=(np.asarray(pictures),), array=np.zeros(len(rows), np.int32), rows=rows
        ),
        task="segment",
        masks=Masks(
            source=lambda row: np.asarray(masks[row], np.uint8),
            numbers=rows,
            values=values or tuple(range(len(class_names))),
            void=255,
            digests=tuple(np.asarray(mask, np.uint8).tobytes() for mask in masks),
        ),
    )
