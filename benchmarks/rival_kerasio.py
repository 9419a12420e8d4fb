"""keras.io's small convolutional network on class folders, for a given time.

    python rival_kerasio.py DATA SECONDS

Two convolutions of 32 and 64 filters with pooling, dropout of one half, Adam, batches of 128, as
in the example "Simple MNIST convnet"; pictures by image_dataset_from_directory. Epochs go on until
the time since the start of this process is over; then the test rows are scored.
"""

import json
import sys
import time

began = time.perf_counter()
import keras  # noqa: E402, TID253
import tensorflow as tf  # noqa: E402, TID253

data, limit = sys.argv[1], float(sys.argv[2])
keras.utils.set_random_seed(0)
kept = {"image_size": (28, 28), "color_mode": "grayscale", "batch_size": 128, "verbose": False}
train = keras.utils.image_dataset_from_directory(f"{data}/train", seed=0, **kept)
test = keras.utils.image_dataset_from_directory(f"{data}/test", shuffle=False, **kept)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(len(train.class_names), activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])


class Until(keras.callbacks.Callback):
    """Stops where another half epoch would be too long."""

    def on_epoch_begin(self, epoch, logs=None) -> None:  # noqa: ARG002
        """Take the time."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None) -> None:  # noqa: ARG002
        """Look at it."""
        now = time.perf_counter()
        self.model.stop_training = now + (now - self.began) / 2 - began > limit


history = model.fit(train.prefetch(tf.data.AUTOTUNE), epochs=1000, callbacks=[Until()], verbose=0)
accuracy = model.evaluate(test, verbose=0)[1]
took = time.perf_counter() - began
print(json.dumps({"accuracy": accuracy, "epochs": len(history.epoch), "took": took}))
