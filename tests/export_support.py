"""What a model answers after it was written in the forms that others read."""

import warnings

import keras
import tensorflow as tf

from dnncli.networks import blocks  # noqa: F401 - lets Keras find our layers


def answers(model, x, folder):
    """Answers (to `x`) of the .keras file, the SavedModel and the LiteRT model, by form."""
    path, saved = folder / "model.keras", folder / "saved"
    model.save(path)
    model.export(saved, verbose=False)
    served = tf.saved_model.load(str(saved))
    return {
        "keras": keras.models.load_model(path, compile=False)(x).numpy(),
        "savedmodel": served.serve(x).numpy(),
        "litert": _litert(saved, x),
    }


def _litert(saved, x):
    converted = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # this interpreter moves to another package
        interpreter = tf.lite.Interpreter(model_content=converted)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(made["index"])
