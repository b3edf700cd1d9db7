"""``make demo``: the main job over a real micrograph, checked against the whole image, and a page of it.

Runs the real commands, one after the other, with two Dask workers on this machine; writes only into
``demo-output/`` (or the folder that it is given), which it replaces; uses no network.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
import zipfile
from pathlib import Path

import check
import numpy as np
import page
import tissue
from terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
#: Says that a folder is ours to replace.
MARK = ".made-by-make-demo"

BLOCK, SHARD = 64, 128
PARAMETERS = check.Parameters()
#: What decides the labels, and the bytes of their files.
SEGMENT = (
    *("segment", "colon.json", "--channel", "hematoxylin"),
    *("--sigma", f"{PARAMETERS.sigma:g}", "--threshold", PARAMETERS.threshold),
    *("--fill-holes", "--min-size", str(PARAMETERS.min_size), "--shard", f"{SHARD},{SHARD}"),
)
TITLE = "Nuclei of a colon section"


def replace_folder(folder: Path) -> None:
    """Begin with an empty folder; one that somebody else made is left alone.

    Raises
    ------
    SystemExit
        If the folder is not the demo's.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        sys.exit(f"{folder} is not a folder of the demo; move it away and try again.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            sys.exit(f"{folder} contains something that the demo did not make; move it away and try again.")
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    (folder / MARK).touch()


def main(arguments: list[str]) -> int:
    """Run the demo; the exit code is 0 only if the result equals the whole-image one."""
    begin = time.monotonic()
    folder = Path(arguments[0]) if arguments else ROOT / "demo-output"
    replace_folder(folder)
    terminal = Terminal(folder)
    terminal.say()
    terminal.say(terminal.paint("chunkwise demo", "1") + ": a real micrograph, from TIFF to TIFF, on two Dask workers")
    terminal.say()
    run_commands(terminal, folder)
    again = shlex.join(["chunkwise", *SEGMENT, "--workers", "1", "--block", "17,200", "--output", "again.ome.zarr"])
    facts = page.Facts(parameters=PARAMETERS, block=BLOCK, steps=terminal.steps, again=again)
    terminal.work("check", lambda: verify(facts, folder))
    facts.seconds = time.monotonic() - begin
    terminal.work("page", lambda: page.write(folder, facts))
    terminal.say()
    verdict = (
        terminal.paint("Labels and table equal the whole-image scikit-image result.", "1;32")
        if facts.equal
        else terminal.paint("The result does NOT equal the whole-image one; please report this.", "1;31")
    )
    terminal.say(f"  {verdict}  {time.monotonic() - begin:.0f} s in all.")
    terminal.say()
    for name, what in (
        ("index.html", "start here: pictures, numbers, what to try next"),
        ("report.html", "what 'chunkwise inspect' says about the image"),
        ("nuclei.ome.zarr", "the labels, for every program that reads OME-Zarr 0.5"),
        ("nuclei.ome.tiff", "the same labels, for every program that reads TIFF"),
        ("objects.tsv", "one row per object"),
        ("crate.zip", "the RO-Crate: what was done to which bytes"),
    ):
        terminal.say(f"  {terminal.paint(os.path.relpath(folder / name).ljust(28), '36')} {what}")
    terminal.say()
    return 0 if facts.equal else 1


def run_commands(terminal: Terminal, folder: Path) -> None:
    """Make the TIFF, and call the commands on it as a person would."""

    def image() -> str:
        shape = tissue.make_tiff(folder / "colon.ome.tiff")
        return f"colon.ome.tiff: 2 stains, {shape[1]} x {shape[2]} pixels"

    terminal.work("image", image)
    terminal.command(
        "convert",
        [*("convert", "colon.ome.tiff", "--output", "colon.ome.zarr"), *("--reference", "colon.json")],
        lambda output: "colon.ome.zarr; " + ("every voxel compared" if "are equal" in output else "NOT compared"),
    )
    terminal.command(
        "inspect",
        ["inspect", "colon.json", "--json", "summary.json", "--html", "report.html"],
        lambda _: "report.html: axes, levels, a picture of each stain",
    )
    terminal.command(
        "segment",
        [
            *SEGMENT,
            *("--workers", "2", "--block", f"{BLOCK},{BLOCK}"),
            *("--output", "nuclei.ome.zarr", "--reference", "nuclei.json", "--record", "segment.json"),
            *("--overlay", "overlay.png"),
        ],
        lambda output: output.split(" in ")[0] + f", from blocks of {BLOCK} x {BLOCK} pixels",
    )
    terminal.command(
        "measure",
        [
            *("measure", "--labels", "nuclei.json", "--image", "colon.json"),
            *("--workers", "2", "--block", f"{BLOCK},{BLOCK}"),
            *("--output", "objects.tsv", "--reference", "objects.json"),
        ],
        lambda output: "objects.tsv: " + output.split(" in ")[0],
    )
    terminal.command(
        "export",
        ["convert", "nuclei.ome.zarr", "--to", "ome-tiff", "--output", "nuclei.ome.tiff"],
        lambda _: "nuclei.ome.tiff: the labels, for programs that read TIFF",
    )
    terminal.command(
        "crate",
        [
            *("crate", "build", "--from", "objects.json", "--output", "crate.zip", "--name", TITLE),
            *("--description", "The demo of chunkwise.", "--license", "CC0-1.0"),
        ],
        lambda output: output.strip(),
    )
    terminal.command("validate", ["crate", "validate", "crate.zip"], lambda output: output.strip())
    with zipfile.ZipFile(folder / "crate.zip") as crate:
        crate.extract("ro-crate-preview.html", folder / "crate")


def verify(facts: page.Facts, folder: Path) -> str:
    """Work the result out again on the whole image, and compare."""
    import tifffile
    import zarr

    pixels = tifffile.imread(folder / "colon.ome.tiff")
    labels = page.pixels_of(zarr.open_group(str(folder / "nuclei.ome.zarr"), mode="r")["0"])[0]
    channels = {name: plane for (name, _, _), plane in zip(tissue.CHANNELS, pixels, strict=True)}
    whole, threshold = check.whole_image_labels(channels["hematoxylin"], PARAMETERS)
    record = json.loads((folder / "segment.json").read_text())
    rows = check.read_table(folder / "objects.tsv")
    facts.labels, facts.channels, facts.rows, facts.record = labels, channels, rows, record
    facts.crossing, facts.pieces = check.split_by_blocks(labels, BLOCK)
    same = np.array_equal(labels, whole) and np.array_equal(tifffile.imread(folder / "nuclei.ome.tiff"), whole)
    facts.equal_labels = bool(same) and record["results"]["thresholds"] == [threshold]
    facts.equal_table = check.same_table(rows, labels, channels)
    if not facts.equal:
        return "labels {}, table {}".format(
            *("equal" if e else "DIFFERENT" for e in (facts.equal_labels, facts.equal_table))
        )
    return f"equal to the whole image; {facts.crossing} of {len(rows)} objects cross block borders"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; 'make demo' starts over.")
