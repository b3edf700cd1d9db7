"""Make of a trained network the package models/nuclei/: python training/export.py --data FOLDER --run FOLDER.

Thresholds are those that tune.py chose. The package is written beside its final name, has to pass bioimageio.core's own
test there, and then takes the place of the one before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import yaml
from PIL import Image
from torch import nn

from data import PERCENTILES, normalise, read_pictures
from decode import objects_of
from net import STRIDE, reach
from train import MAPS, parts, trained

HERE = Path(__file__).parent
ROOT = HERE.parent
LEAST = 192
"""Smallest side of the input: room for the halo on both sides."""

TEST_SIDE = 256
OPSET = 17

MEANING = {
    "foreground-boundary": "foreground: the pixel lies in a nucleus; boundary: it lies on the edge of one, "
    "or where two touch.",
    "foreground-distance": "foreground: the pixel lies in a nucleus; distance: from its edge, as a share.",
}


class Exported(nn.Module):
    """The chosen maps as probabilities, at least 0 and at most 1."""

    def __init__(self, network: nn.Module, channels: list[int]) -> None:
        super().__init__()
        self.network = network
        head = network.head
        chosen = nn.Conv2d(head.in_channels, len(channels), 1)
        chosen.weight.data = head.weight.data[channels].clone()
        chosen.bias.data = head.bias.data[channels].clone()
        network.head = chosen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of a normalised image."""
        return torch.sigmoid(self.network(x))


def folded(network: nn.Module) -> nn.Module:
    """The same network without batch normalisation: it goes into the convolutions before it."""
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i] = nn.utils.fusion.fuse_conv_bn_eval(module[i], module[i + 1])
                    module[i + 1] = nn.Identity()
    return network


def description(about: dict[str, Any], chosen: dict[str, Any], maps: list[str], halo: int) -> dict[str, Any]:
    """What rdf.yaml says."""
    size = {"min": LEAST, "step": STRIDE}
    space = [{"type": "space", "id": axis, "size": size} for axis in "yx"]
    same = [
        {"type": "space", "id": axis, "size": {"tensor_id": "image", "axis_id": axis}, "halo": halo} for axis in "yx"
    ]
    return {
        "format_version": "0.5.4",
        "type": "model",
        "id": "chunkwise/nuclei",
        "id_emoji": "🔵",
        "name": "nuclei",
        "version": "1",
        "description": "Nuclei in 2-D, bright on dark or dark on bright, from 8 to 80 pixels wide: a small U-Net "
        f"whose maps ({', '.join(maps)}) become objects by a watershed.",
        "authors": [{"name": "The chunkwise maintainers"}],
        "maintainers": [],
        "license": "CC0-1.0",
        "cite": [
            {
                "text": "Caicedo et al. Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl. "
                "Nature Methods 2019. (training data)",
                "doi": "10.1038/s41592-019-0612-7",
            },
            {
                "text": "Ronneberger, Fischer, Brox. U-Net: convolutional networks for biomedical image segmentation. "
                "MICCAI 2015.",
                "doi": "10.1007/978-3-319-24574-4_28",
            },
        ],
        "tags": ["nuclei", "segmentation", "instance-segmentation", "unet2d", "2d", "fluorescence", "histology"],
        "covers": ["cover.png"],
        "documentation": "documentation.md",
        "attachments": [{"source": "training.json"}],
        "inputs": [
            {
                "id": "image",
                "description": "One channel of nuclei, of any numbers.",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["nuclei"]}, *space],
                "data": {"type": "float32"},
                "test_tensor": {"source": "test_input.npy"},
                "preprocessing": [
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                    {
                        "id": "scale_range",
                        "kwargs": {
                            "axes": ["y", "x"],
                            "min_percentile": PERCENTILES[0],
                            "max_percentile": PERCENTILES[1],
                            "eps": 1e-6,
                        },
                    },
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                ],
            }
        ],
        "outputs": [
            {
                "id": "maps",
                "description": "From 0 to 1 each; " + MEANING[chosen["method"]],
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": maps}, *same],
                "data": {"type": "float32", "range": [0.0, 1.0]},
                "test_tensor": {"source": "test_output.npy"},
                "postprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}],
            }
        ],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": OPSET}},
        "config": {
            "chunkwise": {
                "objects": {
                    "method": chosen["method"],
                    "channels": {name: i for i, name in enumerate(maps)},
                    "parameters": chosen["parameters"],
                },
                "training": {key: about[key] for key in ("data", "data_sha256", "seed", "steps", "commit")},
            }
        },
    }


def with_hashes(entry: Any, folder: Path) -> Any:
    """The same description, with the sha256 of every file beside its name."""
    if isinstance(entry, list):
        return [with_hashes(item, folder) for item in entry]
    if not isinstance(entry, dict):
        return entry
    made = {key: with_hashes(value, folder) for key, value in entry.items()}
    if "source" in made:
        made["sha256"] = hashlib.sha256((folder / made["source"]).read_bytes()).hexdigest()
    return made


def write_onnx(model: nn.Module, path: Path) -> None:
    """Weights with free height, width and batch."""
    x = torch.randn(1, 1, LEAST, LEAST)
    axes = {0: "batch", 2: "height", 3: "width"}
    torch.onnx.export(
        model,
        (x,),
        str(path),
        input_names=["image"],
        output_names=["maps"],
        opset_version=OPSET,
        dynamic_axes={"image": axes, "maps": axes},
        dynamo=False,
    )


def history(run: Path) -> dict[str, Any]:
    """How a run was trained, and the runs that it began from."""
    about: dict[str, Any] = json.loads((run / "training.json").read_text())
    return about | {"before": history(run.parent / about["start"])} if about["start"] else about


def commit() -> str:
    """The commit of the training scripts."""
    return subprocess.run(
        ["git", "log", "-1", "--format=%H", "--", "training"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def cover(image: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """The image beside itself with outlines."""
    shown = (255 * np.clip(normalise(image.astype(np.float32)), 0, 1)).astype(np.uint8)
    colour = np.stack([shown] * 3, -1)
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    colour[edge] = (255, 200, 0)
    Image.fromarray(np.concatenate([np.stack([shown] * 3, -1), colour], 1)).save(path, optimize=True)


def main() -> None:
    """Tune, export, test, and put in place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder that train.py wrote: the weights")
    parser.add_argument("--tuned", type=Path, required=True, help="folder that tune.py wrote into: the thresholds")
    parser.add_argument("--output", type=Path, default=ROOT / "models" / "nuclei")
    arguments = parser.parse_args()
    torch.set_num_threads(min(2, os.cpu_count() or 1))

    chosen, *others = json.loads((arguments.tuned / "tuned.json").read_text())
    about = history(arguments.run) | {"commit": commit()}
    about |= {"checkpoint_validated": json.loads((arguments.tuned / "best.json").read_text()), "validation": chosen}
    about |= {"other_method": next((row for row in others if row["method"] != chosen["method"]), None)}
    held = read_pictures(arguments.data, parts()["validation"])

    names = ["foreground", chosen["method"].removeprefix("foreground-")]
    model = Exported(folded(trained(arguments.run)), [MAPS.index(name) for name in names]).eval()
    halo = -(-reach() // STRIDE) * STRIDE
    making = arguments.output.with_name(arguments.output.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    write_onnx(model, making / "weights.onnx")

    # The test image is of the validation part: CC0, as the whole data set.
    picture = next(p for p in held if p.group == "dark_256x256" and p.labels.max() > 15)
    raw = picture.image[:TEST_SIDE, :TEST_SIDE].astype(np.float32)
    session = onnxruntime.InferenceSession(str(making / "weights.onnx"), providers=["CPUExecutionProvider"])
    result = session.run(None, {"image": normalise(raw)[None, None]})[0]
    with torch.no_grad():
        difference = float(np.abs(model(torch.from_numpy(normalise(raw)[None, None])).numpy() - result).max())
    if difference > 1e-4:
        raise SystemExit(f"ONNX Runtime and torch differ by {difference}.")
    np.save(making / "test_input.npy", raw[None, None])
    np.save(making / "test_output.npy", result)
    maps = dict(zip(names, result[0], strict=True))
    cover(raw, objects_of(maps, chosen["method"], chosen["parameters"]), making / "cover.png")
    (making / "training.json").write_text(json.dumps(about, indent=1) + "\n")
    shutil.copy(HERE / "card.md", making / "documentation.md")
    # JSON first: what is said twice is then written twice, and not by YAML's references.
    content = json.loads(json.dumps(with_hashes(description(about, chosen, names, halo), making)))
    (making / "rdf.yaml").write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))

    from bioimageio.core import test_model

    summary = test_model(making / "rdf.yaml")
    if summary.status != "passed":
        print(summary.format())
        raise SystemExit("The package does not pass bioimageio.core's test; it stays at " + str(making))
    shutil.rmtree(arguments.output, ignore_errors=True)
    making.rename(arguments.output)
    print(f"{arguments.output}: halo {halo}, {names}, {chosen['parameters']}")


if __name__ == "__main__":
    main()
