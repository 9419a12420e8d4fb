"""Networks against each other at equal cost: several seeds, one core each, two at a time.

    python benchmarks/networks.py attention DATA [SEEDS]   # none, SE, ECA, CBAM in the default cnn
    python benchmarks/networks.py contours DATA [SEEDS]    # U-CARFnet and U-Net, equal cost
    python benchmarks/networks.py steps                    # seconds of a step with each attention

Every run trains with its own seed, split and initial weights, lets validation rows choose the
epoch, and is scored once on the test rows. The table has the mean over the seeds, and the 95 %
interval of the paired difference to the first network (Student's t over the seeds). What was
trained already is not trained again: the runs lie in runs/networks/.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats  # noqa: TID253

RUNS = Path("runs/networks")
ATTENTION = {
    kind: ["--attention", kind, "--epochs", "6", "--set", "run.tensorboard=false"]
    for kind in ("none", "se", "eca", "cbam")
}
_MASKS = "--task segment --image-size 128x128 --set fit.batch_size=4 --set run.tensorboard=false"
_EPOCHS = {"crackforest": "24", "em_membrane": "80"}  # 400 updates
_SMALL = f"{_MASKS} --set model.preset=small --set model.options.width="
CONTOURS = {  # 0.24 GMAC each at 128 x 128
    "unet": f"{_SMALL}9 --model unet".split(),
    "u-carfnet": f"{_SMALL}8 --model u-carfnet".split(),
}


def run(name: str, data: Path, options: list[str], seed: int, core: int) -> dict:
    """Train and evaluate once on one core; the scores of the test rows."""
    out = RUNS / f"{data.name}-{name}-{seed}"
    if data.name in _EPOCHS:
        options = [*options, "--epochs", _EPOCHS[data.name]]
    pinned = ["taskset", "-c", str(core), sys.executable, "-m", "dnncli"]
    quiet = {"check": True, "capture_output": True, "text": True}
    began = time.perf_counter()
    if not (out / "eval").exists():
        subprocess.run(["rm", "-rf", str(out)], check=True)
        trained = [*pinned, "train", str(data), *options, "--seed", str(seed), "--out", str(out)]
        subprocess.run(trained, **quiet)  # type: ignore[call-overload]
    scored = subprocess.run([*pinned, "eval", str(out), "--json"], **quiet)  # type: ignore[call-overload]
    result = json.loads((out / "run.json").read_text())["result"]
    return {
        "scores": json.loads(scored.stdout),
        "seconds": result["seconds"],
        "parameters": result["parameters"],
        "wall": time.perf_counter() - began,
    }


def judged(found: dict) -> dict[str, float]:
    """The scores that are compared."""
    scores = found["scores"]
    if "per_image" not in scores:
        return {"accuracy": scores["accuracy"], "macro F1": scores["averages"]["macro"]["f"]["1"]}
    macro = scores["pooled"]["macro"]
    near = [entry["whole"]["f"] for entry in scores["near"].values()]
    return {"Dice": macro["dice"], "IoU": macro["iou"], "tolerant F": float(np.mean(near))}


def time_steps() -> None:
    """Milliseconds of a training step of 32 pictures with each attention, measured in turn."""
    import keras

    from dnncli.config import ModelConfig
    from dnncli.networks.fused import fuse_normalization
    from dnncli.networks.network import build_network

    for size, channels in ((28, 1), (32, 3)):
        x = np.random.default_rng(0).uniform(0, 255, (32, size, size, channels))
        y = np.eye(10)[np.arange(32) % 10]
        models = {}
        for kind in ATTENTION:
            network = build_network(
                ModelConfig(name="cnn", attention=kind),
                height_width=(size, size),
                channels=channels,
                class_names=list("abcdefghij"),
                loss="cross-entropy",
            )
            fuse_normalization(network.training)
            loss = keras.losses.CategoricalCrossentropy(from_logits=True)
            network.training.compile("adam", loss, jit_compile=False)
            network.training.train_on_batch(x, y)
            models[kind] = network.training
        spent: dict[str, list[float]] = {kind: [] for kind in models}
        for _ in range(40):
            for kind, model in models.items():
                began = time.perf_counter()
                model.train_on_batch(x, y)
                spent[kind].append(time.perf_counter() - began)
        for kind, values in spent.items():
            ratio = np.median(values) / np.median(spent["none"])
            print(f"| {size} px | {kind} | {1000 * np.median(values):.1f} ms | {ratio:.2f} |")


def main() -> None:
    if sys.argv[1] == "steps":
        time_steps()
        return
    what, data = sys.argv[1], Path(sys.argv[2])
    seeds = range(1, 1 + int(sys.argv[3] if len(sys.argv) > 3 else 3))
    networks = {"attention": ATTENTION, "contours": CONTOURS}[what]
    jobs = [(name, seed) for seed in seeds for name in networks]
    cores = sorted(os.sched_getaffinity(0))
    free = list(cores)

    def work(job: tuple[str, int]) -> tuple[tuple[str, int], dict]:
        core = free.pop()
        try:
            return job, run(job[0], data, networks[job[0]], job[1], core)
        finally:
            free.append(core)

    with concurrent.futures.ThreadPoolExecutor(len(cores)) as pool:
        found = dict(pool.map(work, jobs))
    first = next(iter(networks))
    scores = {job: judged(entry) for job, entry in found.items()}
    names = list(scores[first, seeds[0]])
    head = [f"{name} | less {first}" for name in names]
    print(f"| network | parameters | {' | '.join(head)} | training time |")
    print("|---" * (3 + 2 * len(names)) + "|")
    for network in networks:
        cells = [network, f"{found[network, seeds[0]]['parameters']:,}"]
        for name in names:
            values = np.array([scores[network, seed][name] for seed in seeds])
            less = values - [scores[first, seed][name] for seed in seeds]
            half = stats.t.ppf(0.975, len(less) - 1) * less.std(ddof=1) / np.sqrt(len(less))
            cells += [f"{values.mean():.4f} (sd {values.std(ddof=1):.4f})"]
            cells += ["" if network == first else f"{less.mean():+.4f} ± {half:.4f}"]
        seconds = np.mean([found[network, seed]["seconds"] for seed in seeds])
        print(f"| {' | '.join(cells)} | {seconds:.0f} s |")


if __name__ == "__main__":
    main()
