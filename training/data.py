"""Images with labels, and how they are varied: scale, polarity, contrast, noise, blur, orientation.

Every sample is a function of (seed, index) alone, so a training can be repeated whatever the number of workers.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import Dataset

__all__ = ["GREY", "PERCENTILES", "Picture", "Samples", "data_hash", "grey", "normalise", "read_pictures", "targets"]

PERCENTILES = (1.0, 99.8)
"""What becomes 0 and 1, over the whole image; the exported package says the same."""

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue."""

SHARES = {
    "dark_256x256": 0.44,
    "dark_360x360": 0.12,
    "dark_520x696": 0.22,
    "dark_512x640": 0.03,
    "bright_rgb_256x320": 0.12,
    "bright_1024x1024": 0.07,
}
"""How often a sample comes from each group: between the number of images and one share each."""

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Picture:
    """An image (YX or YXC, as read) with its label image and the median diameter of its objects in pixels."""

    name: str
    group: str
    image: NDArray[np.uint8]
    labels: Labels
    diameter: float


def read_pictures(folder: Path, names: set[str] | None = None) -> list[Picture]:
    """The images of a folder with index.csv, images/ and masks/, in the order of the index."""
    found = []
    with (folder / "index.csv").open() as lines:
        for row in csv.DictReader(lines):
            if names is not None and row["name"] not in names:
                continue
            image = tifffile.imread(folder / "images" / f"{row['name']}.tif")
            labels = tifffile.imread(folder / "masks" / f"{row['name']}.tif").astype(np.int32)
            sizes = np.bincount(labels.ravel())[1:]
            diameter = 2 * float(np.sqrt(np.median(sizes[sizes > 0]) / np.pi)) if (sizes > 0).any() else 20.0
            found.append(Picture(row["name"], row["group"], image, labels, diameter))
    return found


def data_hash(folder: Path) -> str:
    """sha256 over names and bytes of the index, the images and the masks, in sorted order."""
    total = hashlib.sha256()
    for path in sorted([folder / "index.csv", *folder.glob("images/*.tif"), *folder.glob("masks/*.tif")]):
        total.update(
            f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return total.hexdigest()


def grey(image: NDArray[np.uint8], weights: tuple[float, ...] = GREY) -> Floats:
    """YX of float32; colours are weighted."""
    if image.ndim == 2:
        return image.astype(np.float32)
    return np.asarray(image.astype(np.float32) @ np.asarray(weights, np.float32))


def normalise(image: Floats) -> Floats:
    """The percentiles of the whole image become 0 and 1, as bioimage.io's `scale_range` does it."""
    low, high = np.percentile(image, PERCENTILES)
    return ((image - low) / (high - low + 1e-6)).astype(np.float32)


def targets(labels: Labels) -> Floats:
    """Foreground, boundary and distance of a label image, CYX in [0, 1]; and fourth, how much a pixel weighs.

    Boundary: pixels with another label among their 4 neighbours, on both sides; and all within 2 pixels of two
    objects, so that a boundary which is missed in one place does not join them at once. Distance: to the object's rim,
    as a share of the object's largest. Weight: narrow places between two objects are rare, and what parts touching
    nuclei.
    """
    foreground = labels > 0
    boundary = np.zeros(labels.shape, bool)
    between = np.zeros(labels.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[one] != labels[other]
        touch = differ & foreground[one] & foreground[other]
        for side in (one, other):
            boundary[side] |= differ
            between[side] |= touch
    distance = ndimage.distance_transform_edt(foreground & ~between)
    largest = np.zeros(int(labels.max()) + 1)
    np.maximum.at(largest, labels.ravel(), distance.ravel())
    largest[largest == 0] = 1
    distance = distance / largest[labels] * foreground
    highest = ndimage.maximum_filter(labels, 5)
    lowest = ndimage.minimum_filter(np.where(foreground, labels, np.iinfo(np.int32).max), 5)
    narrow = (highest > 0) & (highest != lowest)
    boundary |= narrow
    weight = 1 + 2 * boundary + 8 * narrow
    return np.stack([foreground, boundary, distance, weight]).astype(np.float32)


class Samples(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """*count* squares of *size* pixels, cut, turned, scaled and varied at random."""

    def __init__(self, pictures: list[Picture], count: int, size: int, seed: int) -> None:
        self.groups: dict[str, list[Picture]] = {}
        for picture in pictures:
            self.groups.setdefault(picture.group, []).append(picture)
        shares = np.array([SHARES[name] for name in self.groups])
        self.shares = shares / shares.sum()
        # Crowded images come more often: they hold the places where nuclei touch.
        self.crowds = []
        for group in self.groups.values():
            crowd = np.array([np.sqrt(1 + picture.labels.max()) for picture in group])
            self.crowds.append(crowd / crowd.sum())
        # Colours are weighted anew for every sample; what is grey is normalised once.
        self.ready = {p.name: normalise(grey(p.image)) for p in pictures if p.image.ndim == 2}
        self.count, self.size, self.seed = count, size, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        which = rng.choice(len(self.shares), p=self.shares)
        picture = list(self.groups.values())[which][rng.choice(len(self.crowds[which]), p=self.crowds[which])]
        whole = self.ready.get(picture.name)
        if whole is None:
            weights = tuple(rng.dirichlet((1.0, 1.0, 1.0))) if rng.random() < 0.4 else GREY
            whole = normalise(grey(picture.image, weights))
        image, labels = self.cut(whole, picture, rng)
        image = vary(image, picture.image.ndim == 3 or picture.group.startswith("bright"), rng)
        return torch.from_numpy(image)[None], torch.from_numpy(targets(labels))

    def cut(self, image: Floats, picture: Picture, rng: np.random.Generator) -> tuple[Floats, Labels]:
        """A square in a random orientation and size; beyond the image's edge it is mirrored."""
        wide = rng.random() < 0.4
        scale = np.exp(rng.uniform(np.log(0.5), np.log(2.0)) if wide else rng.uniform(-0.1, 0.1))
        scale = float(np.clip(scale, 8 / picture.diameter, 100 / picture.diameter))
        stretch = np.exp(rng.uniform(-0.15, 0.15)) if wide else 1.0
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.25 else rng.integers(4) * np.pi / 2
        if scale < 0.75:
            image = ndimage.gaussian_filter(image, 0.4 / scale)
        height, width = image.shape
        # From the square's coordinates in [-1, 1] to the image's.
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        turn = turn @ np.diag([stretch / scale, 1 / (stretch * scale)]) * self.size
        if rng.random() < 0.5:
            turn[:, 0] *= -1
        reach = np.abs(turn).sum(axis=1)
        sides = np.array([width, height])
        room = np.maximum(1 - reach / sides, 0.0)
        theta = np.column_stack([turn / sides[:, None], rng.uniform(-room, room)])
        grid = torch.nn.functional.affine_grid(
            torch.from_numpy(theta[None].astype(np.float32)), [1, 1, self.size, self.size], align_corners=False
        )

        def take(array: Floats, mode: str) -> Floats:
            source = torch.from_numpy(np.ascontiguousarray(array))[None, None]
            cut = torch.nn.functional.grid_sample(source, grid, mode, padding_mode="reflection", align_corners=False)
            return cut[0, 0].numpy()

        return take(image, "bilinear"), take(picture.labels.astype(np.float32), "nearest").astype(np.int32)


def vary(image: Floats, bright: bool, rng: np.random.Generator) -> Floats:
    """Another contrast, polarity, blur, noise and background."""
    if rng.random() < (0.1 if bright else 0.15):
        image = 1 - image
    if rng.random() < 0.4:
        image = np.clip(image, 0, 1.5) ** np.exp(rng.uniform(-0.6, 0.6))
    if rng.random() < 0.2:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.4))
    if rng.random() < 0.2:
        slope = rng.uniform(-0.2, 0.2, 2)
        y, x = (np.linspace(-1, 1, n) for n in image.shape)
        image = image + slope[0] * y[:, None] + slope[1] * x
    if rng.random() < 0.5:
        image = image * np.exp(rng.uniform(-0.3, 0.3)) + rng.normal(0, 0.05)
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(0, 0.1), image.shape)
    return np.clip(image, -1, 4).astype(np.float32)
