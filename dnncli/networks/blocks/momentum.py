"""How fast the moving averages of batch normalisation follow the batches."""

# Keras' 0.99 needs thousands of updates; short runs, and fine-tuning, have hundreds.
BN_MOMENTUM = 0.9
