"""A plain Keras training of a network of `nets`, as its users write it; timed by `clock`.

python rival_keras.py NETWORK ARRAYS.npz BATCH EPOCHS
"""

import sys

import keras  # noqa: TID253
import nets
import numpy as np
import tensorflow as tf  # noqa: TID253
from clock import Clock

network, path, batch, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
arrays = np.load(path)
keras.utils.set_random_seed(0)
inputs = keras.Input(arrays["x_train"].shape[1:])
outputs = getattr(nets, network)(
    keras.layers.Rescaling(1 / 255)(inputs), outputs=int(arrays["y_train"].max()) + 1
)
model = keras.Model(inputs, outputs)
model.compile(
    optimizer=keras.optimizers.AdamW(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
train = tf.data.Dataset.from_tensor_slices((arrays["x_train"], arrays["y_train"]))
train = train.shuffle(len(arrays["x_train"])).batch(batch).prefetch(tf.data.AUTOTUNE)
val = tf.data.Dataset.from_tensor_slices((arrays["x_val"], arrays["y_val"]))
val = val.batch(batch).prefetch(tf.data.AUTOTUNE)
model.fit(train, validation_data=val, epochs=epochs, callbacks=[Clock()], verbose=0)
