"""The published Voronoi segmentation, by the steps of ours: what scikit-image and SciPy give on the whole image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zarr
from scipy import ndimage
from skimage import measure, segmentation

from chunkwise.cli import main

ROOT = Path(__file__).parents[2]
MADE = ROOT / "test-data"
STEPS = yaml.safe_load((ROOT / "workflows" / "voronoi-cells" / "voronoi-cells.gxwf.yml").read_text())["steps"]


def voxels(store: Path) -> Any:
    return np.asarray(zarr.open_array(store / "0", mode="r")[...])


def cells(folder: Path, farthest: float = 100) -> Any:
    """Run the steps in blocks that cut through cells."""
    made: dict[str, Path] = {}

    def run(step: str, image: Path, *words: str) -> None:
        state = STEPS[step]["tool_state"]
        own = state.get("operation") or {"expression": state["expression"], "dtype": state["dtype"]}
        own = {key: value for key, value in own.items() if value not in (None, "usual")}
        stated = [f"--{key.replace('_', '-')}={value}" for key, value in own.items()]
        made[step] = folder / f"{step}.ome.zarr"
        command = STEPS[step]["tool_id"].removeprefix("chunkwise_")
        to = ["--output", str(made[step]), "--block", "128,160", "--workers", "1"]
        assert main([command, str(image), *stated, *words, *to]) == 0

    run("spots", MADE / "coins_2d_labels.ome.zarr")
    run("number", made["spots"])
    run("tessellate", made["number"], f"--distance={farthest}")
    run("smooth", MADE / "coins_2d.ome.zarr", "--sigma=3")
    run("threshold", made["smooth"], "--threshold=80")
    run("cut", made["tessellate"], "--b", str(made["threshold"]), "--c", str(made["spots"]))
    return voxels(made["cut"])


def expected() -> Any:
    """The published steps on the whole image."""
    seeds = voxels(MADE / "coins_2d_labels.ome.zarr") > 0
    nearest = segmentation.expand_labels(measure.label(seeds), 1000)
    tissue = ndimage.gaussian_filter(voxels(MADE / "coins_2d.ome.zarr"), 3) > 80
    return nearest * tissue * ~seeds


def test_cells_are_those_of_the_whole_image(tmp_path: Path) -> None:
    wanted = expected()
    assert len(np.unique(wanted)) > 10
    np.testing.assert_array_equal(cells(tmp_path), wanted)


def test_mutant_cells_that_end_too_early_are_seen(tmp_path: Path) -> None:
    assert not np.array_equal(cells(tmp_path, 10), expected())
