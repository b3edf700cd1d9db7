"""Train the model `nuclei`: `make train-nuclei`, or python training/train.py --data FOLDER --run FOLDER.

The validation part (split.csv) chooses the checkpoint; thresholds are chosen by export.py. Stopped and called again
with the same folder it begins anew; every checkpoint that was reached stays until then.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from data import Picture, Samples, data_hash, grey, normalise, read_pictures
from decode import average_precision, by_boundary, by_distance, matches
from net import STRIDE, UNet

HERE = Path(__file__).parent
MAPS = ("foreground", "boundary", "distance")


def parts() -> dict[str, set[str]]:
    """The names of split.csv by part."""
    found: dict[str, set[str]] = {"train": set(), "validation": set()}
    with (HERE / "split.csv").open() as lines:
        for row in csv.DictReader(lines):
            found[row["part"]].add(row["name"])
    return found


def loss_of(logits: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Cross entropy of the three maps, weighted, and the Dice loss of the foreground."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, goal[:, :3], weight=goal[:, 3:])
    inside, truth = torch.sigmoid(logits[:, 0]), goal[:, 0]
    dice = 1 - (2 * (inside * truth).sum() + 1) / (inside.sum() + truth.sum() + 1)
    return 2 * entropy + 0.3 * dice


def predict(model: nn.Module, image: np.ndarray, device: torch.device) -> np.ndarray:
    """The maps of a whole normalised image, mirrored at its end to a multiple of the stride."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % STRIDE), (0, -width % STRIDE)), "symmetric")
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        logits = model(torch.from_numpy(padded)[None, None].to(device, memory_format=torch.channels_last))
    return torch.sigmoid(logits.float())[0, :, :height, :width].cpu().numpy()


def trained(run: Path) -> UNet:
    """The network of a run, at its best checkpoint."""
    network = UNet(len(MAPS))
    network.load_state_dict(torch.load(run / "best.pt", map_location="cpu", weights_only=True))
    return network.eval()


def validate(model: nn.Module, pictures: list[Picture], device: torch.device) -> dict[str, list[float]]:
    """AP@0.5, 0.7 and 0.9, pooled over all images, by both decoders at plain thresholds."""
    counts = {"boundary": np.zeros((3, 3), np.int64), "distance": np.zeros((3, 3), np.int64)}
    for picture in pictures:
        maps = predict(model, normalise(grey(picture.image)), device)
        counts["boundary"] += matches(picture.labels, by_boundary(maps[0], maps[1], 0.5, 0.2, 20))
        counts["distance"] += matches(picture.labels, by_distance(maps[0], maps[2], 0.5, 0.3, 5, 20))
    return {name: [round(float(v), 4) for v in average_precision(count)] for name, count in counts.items()}


def main() -> None:
    """Train until the steps or the minutes are over; the learning rate falls with whichever is nearer its end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv, images/ and masks/")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--minutes", type=float, default=180.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--start", type=Path, help="weights to begin with, of an earlier run")
    parser.add_argument("--all", action="store_true", help="train on the validation part too, and validate nothing")
    parser.add_argument("--every", type=int, default=500, help="steps between validations")
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(min(2, os.cpu_count() or 1) if device.type == "cpu" else 4)
    names = parts()
    train, held = (read_pictures(arguments.data, names[part]) for part in ("train", "validation"))
    if arguments.all:
        train, held = read_pictures(arguments.data), []
    samples = Samples(train, arguments.steps * arguments.batch, arguments.size, arguments.seed)
    # On two cores the samples are made between the steps; beside a GPU by processes of their own.
    workers = min(12, (os.cpu_count() or 1) - 1) if device.type == "cuda" else 0
    loader = DataLoader(samples, batch_size=arguments.batch, shuffle=False, num_workers=workers)

    model = UNet(len(MAPS)).to(device, memory_format=torch.channels_last)
    if arguments.start:
        model.load_state_dict(torch.load(arguments.start, map_location=device, weights_only=True))
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=1e-3)
    began = time.monotonic()
    best, losses = -1.0, []
    about = {
        "data": "dsb2018_train",
        "data_sha256": data_hash(arguments.data),
        "images": {"train": len(train), "validation": len(held)},
        **{name: getattr(arguments, name) for name in ("seed", "batch", "size", "rate")},
        "start": arguments.start.parent.name if arguments.start else None,
        "device": device.type,
        "torch": torch.__version__,
    }
    log = (arguments.run / "log.jsonl").open("w")
    step = 0
    for step, (image, goal) in enumerate(loader, 1):
        progress = max(step / arguments.steps, (time.monotonic() - began) / 60 / arguments.minutes)
        rate = arguments.rate * min(1.0, step / 100) * (0.5 + 0.5 * np.cos(np.pi * min(1.0, progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        image = image.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(image)
        loss = loss_of(logits.float(), goal.to(device))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        keep = min(0.998, step / (step + 20))
        with torch.no_grad():
            for mean, now in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, 1 - keep)
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            print(step, round((time.monotonic() - began) / 60, 1), round(float(np.mean(losses[-50:])), 4), flush=True)
        over = progress >= 1
        if step % arguments.every == 0 or over:
            scores = validate(average, held, device) if held else {}
            line = {
                "step": step,
                "minutes": round((time.monotonic() - began) / 60, 1),
                "rate": round(float(rate), 6),
                "loss": round(float(np.mean(losses)), 4),
                **scores,
            }
            losses = []
            print(json.dumps(line), flush=True)
            log.write(json.dumps(line) + "\n")
            log.flush()
            score = max((row[0] + row[1] for row in scores.values()), default=float(step))
            torch.save(average.state_dict(), arguments.run / "last.pt")
            if score > best:
                best = score
                torch.save(average.state_dict(), arguments.run / "best.pt")
                (arguments.run / "best.json").write_text(json.dumps(line))
            about |= {"steps": step, "minutes": line["minutes"]}
            (arguments.run / "training.json").write_text(json.dumps(about, indent=1))
        if over:
            break


if __name__ == "__main__":
    main()
