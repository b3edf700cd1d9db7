"""The page that ``chunkwise inspect`` writes: what a store holds, with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chunkwise.errors import ChunkwiseError
from chunkwise.ngff.emptiness import say_empty, share_of
from chunkwise.ngff.model import Axis, Collection, Image, Plate, Store
from chunkwise.ngff.read import open_image
from chunkwise.report.page import Page, Picture, Section, Table, write_page
from chunkwise.report.pictures import CHANNEL_COLORS, composite, contrast, label_colors, to_gray
from chunkwise.report.preview import BUDGET, read_plane
from chunkwise.report.runs import place_words
from chunkwise.report.summary import headline, size_text
from chunkwise.site.called import name_of

__all__ = ["inspection_page", "pictures_of_image", "write_inspection_view"]

#: Channels and fields that get a picture; a page of hundreds would help nobody.
MOST_PICTURES = 12

#: Bytes that the pictures of one page may read together.
PAGE_BUDGET = 4 * BUDGET


def inspection_page(store: Store, summary: dict[str, Any], pictures: bool = True) -> Page:
    """Make the page of a store.

    Parameters
    ----------
    store : Store
        As :func:`chunkwise.ngff.read.open_store` returns it.
    summary : dict
        As :func:`chunkwise.report.summary.summarise` returns it.
    pictures : bool
        Whether the page of an image has pictures.
    """
    if isinstance(store, Image):
        sections = _image_sections(store, summary, pictures)
    elif isinstance(store, Plate):
        sections = _plate_sections(store)
    else:
        sections = _collection_sections(store)
    name = store.location.name if isinstance(store, Collection) else store.name
    parts = [*sections, _findings(summary)]
    place = place_words(summary | {"description": {"name": name}, "called": name_of("image")})
    warnings = [warning.replace(store.location.address, place) for warning in summary.get("warnings", ())]
    return Page(name, "Chunkwise inspection", [headline(store, place)], parts, warnings)


def write_inspection_view(store: Store, summary: dict[str, Any], path: str) -> tuple[str, ...]:
    """Write the page of a store with its image to browse in the place of pictures.

    Of a plate or a collection, which hold many images, it is the page with pictures of them.

    Returns
    -------
    tuple of str
        Sentences on what of the image is not in the page.
    """
    from chunkwise.report.view.make import view_of_image, write_view

    page = inspection_page(store, summary, pictures=not isinstance(store, Image))
    if not isinstance(store, Image):
        write_page(page, path)
        return ("It holds many images; a view of one of them is made by naming it.",)
    return write_view(view_of_image(store), path, page)


def _image_sections(image: Image, summary: dict[str, Any], pictures: bool) -> list[Section]:
    first = image.levels[0]
    axes = Table(
        ["Axis", "Kind", "Size", "Step", "Extent", "Offset"],
        [
            (axis.name, axis.type, size, _step(axis, scale), _extent(axis, size, scale), _offset(axis, offset))
            for axis, size, scale, offset in zip(image.axes, first.shape, first.scale, first.translation, strict=True)
        ],
        "Full resolution; step is the size of a voxel or the time between two points.",
    )
    sections = [pictures_of_image(image)] if pictures else []
    sections.append(Section("Axes", tables=[axes]))
    if image.kind == "image":
        sections.append(Section("Channels", tables=[_channel_table(image)]))
    sections.append(
        Section("Resolution levels and storage", _storage_text(summary), tables=[_level_table(image, summary)])
    )
    if image.labels:
        sections.append(_labels_section(image, summary, pictures))
    return sections


def _step(axis: Axis, scale: float) -> str:
    if axis.type == "channel":
        return ""
    return f"{scale:g} {axis.unit}" if axis.unit else f"{scale:g} (no unit)"


def _extent(axis: Axis, size: int, scale: float) -> str:
    return "" if axis.type == "channel" else f"{size * scale:g} {axis.unit or ''}".strip()


def _offset(axis: Axis, offset: float) -> str:
    return "" if axis.type == "channel" else f"{offset:g}"


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _channel_table(image: Image) -> Table:
    rows = [
        (
            channel.index,
            channel.name,
            f"#{channel.color}" if channel.color else "",
            f"{channel.window[0]:g} to {channel.window[1]:g}" if channel.window else "",
        )
        for channel in image.channels
    ]
    return Table(["Number", "Name", "Colour", "Display range in the store"], rows)


def _level_table(image: Image, summary: dict[str, Any]) -> Table:
    rows = [
        (
            index,
            _times(entry["shape"]),
            " × ".join(f"{scale:g}" for scale in entry["scale"]),
            _times(entry["chunks"]),
            _times(entry["shards"]) if entry["shards"] else "none",
            ", ".join(entry["codecs"]) or "none",
            size_text(entry["bytes"]),
            size_text(entry["stored_bytes"]),
            entry["stored_files"] if entry["stored_files"] is not None else "not counted",
            "not told" if entry["chunks_found"] is None else f"{entry['chunks_found']} of {entry['chunks_looked_for']}",
        )
        for index, entry in enumerate(summary["levels"])
    ]
    columns = ["Level", "Size", "Scale", "Chunks", "Shards", "Codecs", "Voxels take", "On disk", "Files", "There"]
    about = f"In the order {', '.join(image.axis_names)}; {summary['dtype']} voxels."
    about += " There: how many chunks have a file, of all or of a sample; the others are the fill value."
    return Table(columns, rows, about)


def _storage_text(summary: dict[str, Any]) -> list[str]:
    if "format" in summary:
        return [f"{summary['format']}; {size_text(summary['bytes'])} of voxels."]
    text = f"OME-Zarr {summary['version']} in Zarr v{summary['levels'][0]['zarr_format']}."
    if summary["stored_bytes"]:
        ratio = summary["bytes"] / summary["stored_bytes"]
        text += f" {size_text(summary['stored_bytes'])} on disk for {size_text(summary['bytes'])} of voxels"
        text += f", {ratio:.1f} times less." if ratio > 1.05 else "."
    return [text]


def _labels_section(image: Image, summary: dict[str, Any], pictured: bool) -> Section:
    rows, notes = [], []
    pictures: list[Picture] = []
    for entry in summary["labels"]:
        if "error" in entry:
            notes.append(f"{entry['name']}: {entry['error']}")
            continue
        rows.append((entry["name"], _times(entry["shape"]), entry["dtype"], entry["levels"]))
        if pictured and len(pictures) < MOST_PICTURES:
            label = open_image(image.location.child("labels").child(entry["name"]))
            pictures.append(_picture_of_labels(label, f"labels-{len(pictures)}-{entry['name']}", entry["name"]))
    table = Table(["Name", "Size", "Data type", "Levels"], rows)
    return Section("Label images", notes, tables=[table] if rows else [], pictures=pictures)


def _picture_of_labels(label: Image, name: str, title: str) -> Picture:
    plane = read_plane(label, budget=PAGE_BUDGET // MOST_PICTURES)
    return Picture(name, label_colors(plane.data), title, plane.caption)


def pictures_of_image(image: Image) -> Section:
    """Show the channels of an image, the first ones of many, and several together; of labels the objects in colour."""
    if image.kind == "labels":
        return Section("Picture", pictures=[_picture_of_labels(image, "labels", image.name)])
    shown = image.channels[:MOST_PICTURES]
    budget = min(BUDGET, PAGE_BUDGET // len(shown))
    text = [] if len(shown) == len(image.channels) else [f"The first {len(shown)} of {len(image.channels)} channels."]
    pictures, grays, colors = [], [], []
    for channel in shown:
        plane = read_plane(image, channel.index, budget)
        black, white = contrast(plane.data)
        grays.append(to_gray(plane.data, black, white))
        colors.append(channel.color or CHANNEL_COLORS[channel.index % len(CHANNEL_COLORS)])
        title = channel.name if channel.name != str(channel.index) else f"Channel {channel.index}"
        caption = f"{plane.caption}; black is {black:g}, white is {white:g}"
        pictures.append(Picture(f"channel-{channel.index}-{channel.name}", grays[-1], title, caption))
    if 2 <= len(pictures) <= 6:
        if len(set(colors)) < len(colors):  # a store that paints all channels alike says nothing by it
            colors = list(CHANNEL_COLORS[: len(colors)])
        pairs = ", ".join(f"{p.title} in #{color}" for p, color in zip(pictures, colors, strict=True))
        pictures.append(Picture("composite", composite(grays, colors), "Channels together", pairs))
    return Section("Pictures", text, pictures=pictures)


def _plate_sections(plate: Plate) -> list[Section]:
    wells = {(well.row, well.column): well for well in plate.wells}
    rows = [
        (row, *(len(wells[row, column].fields) if (row, column) in wells else "" for column in plate.columns))
        for row in plate.rows
    ]
    layout = Table(["", *plate.columns], rows, "Number of fields in every well; empty if there is no well.")
    paths = [f"{well.path}/{field}" for well in plate.wells for field in well.fields]
    facts = [
        ("Rows and columns", f"{len(plate.rows)} × {len(plate.columns)}"),
        ("Wells", len(plate.wells)),
        ("Fields", len(paths)),
        ("OME-Zarr version", plate.version),
    ]
    text = [f"To work on one field, give its path, such as {plate.location.name}/{paths[0]}."] if paths else []
    firsts = [f"{well.path}/{well.fields[0]}" for well in plate.wells if well.fields]
    return [Section("Plate", text, facts, [layout]), _pictures_of_members(plate, firsts, "First fields")]


def _collection_sections(collection: Collection) -> list[Section]:
    rows = []
    for path in collection.series:
        try:
            image = open_image(collection.location.child(path))
        except ChunkwiseError as error:
            rows.append((path, "", "", str(error)))
            continue
        rows.append((path, image.name, _times(image.levels[0].shape), ", ".join(image.axis_names)))
    table = Table(["Path", "Name", "Size", "Axes"], rows)
    well = collection.kind == "well"
    facts = [("Fields" if well else "Images", len(collection.series)), ("OME-Zarr version", collection.version)]
    text = [
        "The fields of one well of a plate; to work on one of them, give its path."
        if well
        else "Several images in one store; to work on one of them, give its path."
    ]
    pictures = _pictures_of_members(collection, list(collection.series), "First channels")
    return [Section("Well" if well else "Collection", text, facts, [table]), pictures]


def _pictures_of_members(store: Plate | Collection, paths: list[str], heading: str) -> Section:
    """Show the first channel of the first images; one that cannot be read is a note."""
    pictures, notes = [], []
    shown = paths[:MOST_PICTURES]
    if len(shown) < len(paths):
        notes.append(f"The first {len(shown)} of {len(paths)}.")
    for path in shown:
        try:
            image = open_image(store.location.child(path))
            plane = read_plane(image, 0, PAGE_BUDGET // MOST_PICTURES)
            empty = say_empty(image, image.levels[0].path, share_of(image, image.levels[0].path))
        except ChunkwiseError as error:
            notes.append(f"{path}: {error}")
            continue
        if empty is not None:
            notes.append(f"Warning: {empty}")
        black, white = contrast(plane.data)
        channel = image.channels[0].name
        caption = f"{channel}, {plane.caption}" if channel != "0" else plane.caption
        pictures.append(Picture(path.replace("/", "-"), to_gray(plane.data, black, white), path, caption))
    return Section(heading, notes, pictures=pictures)


def _findings(summary: dict[str, Any]) -> Section:
    remarks = summary["findings"]
    if not remarks:
        return Section("Validation", ["The metadata follow the OME-Zarr specification and its recommendations."])
    if any(remark["severity"] == "deviation" for remark in remarks):
        text = (
            "The metadata break the OME-Zarr specification in the places marked as deviations, and are read as "
            "stated there."
        )
    else:
        text = "The metadata follow the OME-Zarr specification, with these remarks. None of them affects the analysis."
    rows = [(remark["severity"], remark["where"], remark["message"]) for remark in remarks]
    return Section("Validation", [text], tables=[Table(["Kind", "Where", "Remark"], rows)])
