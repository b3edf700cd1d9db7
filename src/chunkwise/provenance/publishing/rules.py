"""What of a run record leaves in a published crate: every parameter, finding and figure that does, with its rule.

What is not named here stays out, so that something new in the record is not published until somebody lists it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Parameter, Table
from chunkwise.provenance.fields import Json
from chunkwise.provenance.publishing.allowed import (
    OUT,
    UNITS,
    Rule,
    digest,
    each,
    first_of,
    matching,
    nothing,
    number,
    sizes,
    table,
    texts,
    truth,
    versions,
    word,
)
from chunkwise.storage.stamp import KINDS

__all__ = [
    "BLOCKS",
    "BUILD",
    "CHECKED",
    "DESCRIPTION",
    "ENDINGS",
    "FINGERPRINT",
    "JOB",
    "NAMES",
    "PARAMETERS",
    "PUBLISHED",
    "RESULTS",
    "TOOL",
    "TOTAL",
    "WITHHELD",
]

#: What a record and a resource have, told apart by whether something of it leaves; a test holds that all is there.
PUBLISHED: Final = frozenset(
    {
        *("id", "command", "parameters", "inputs", "outputs", "software", "start", "end", "status", "error", "plan"),
        *("blocks", "workers", "cluster", "results", "galaxy", "build", "attempts"),
        *("name", "kind", "location", "identity", "media_type", "fingerprint", "size", "modified", "description"),
        "checked",
    }
)
WITHHELD: Final = frozenset({"agent", "root"})

_WORK: Final[dict[str, Rule]] = {"block": sizes, "memory": sizes, "workers": sizes}
#: Models that come with chunkwise; others have names of somebody's choosing, and are told by DOI and digest.
_SHIPPED: Final = ("nuclei",)
_MAPS: Final = ("foreground", "boundary", "distance", "distances", "probability", "flow_z", "flow_y", "flow_x")


def _measured(value: Json) -> Json:
    from chunkwise.ops.columns import GROUPS, PROPERTIES  # heavy, and needed for tables only

    return each(word(*PROPERTIES, *GROUPS["all"], *GROUPS))(value)


#: Of free text, which leaves only where it stands here; a channel that is named is seen to by ``record.py``.
_TEXTS: Final[dict[tuple[str, str], Rule]] = {
    # Letters of images, names of functions and numbers: nothing of a person's own.
    ("math", "expression"): matching(
        r"(?:\b(?:[a-h]|pi|inf|nan|abs|sqrt|exp|log|clip|min|max|where|and|or|not|True|False)\b|[0-9.](?:e[+-]?(?=[0-9]))?"
        r"|[ +*/%(),<>=!-])+"
    ),
    ("overlay", "color"): matching(r"[0-9A-Fa-f]{6}"),
    ("predict", "model"): word(*_SHIPPED),
    ("predict", "map"): each(word(*_MAPS)),
    ("objects", "channels"): matching(rf"(?:{'|'.join(_MAPS)})=\d{{1,4}}(?:,(?:{'|'.join(_MAPS)})=\d{{1,4}})*"),
    ("measure", "properties"): _measured,
    ("measure", "percentiles"): sizes,
    ("convert", "axes"): matching(r"[tczyxs]{2,6}"),
    ("convert", "voxel_size"): matching(r"[0-9.e+-]{1,24}(?:,[0-9.e+-]{1,24}){1,2}"),
}
#: Texts of digits and marks, wherever they are options.
_PART: Final[dict[str, Rule]] = {"level": texts, "time": texts, "region": texts}
#: What records of a command hold besides its options.
_NOTED: Final[dict[str, dict[str, Rule]]] = {"predict": {"model_sha256": digest}}


def _rule(command: str, name: str, parameter: Parameter) -> Rule:
    """Let through what a declaration says: its numbers, its choices, yes and no; of text nothing."""
    if (command, name) in _TEXTS:
        return _TEXTS[command, name]
    if name in _PART:
        return _PART[name]
    if parameter.type is bool:
        return truth
    choices = (word(*parameter.choices),) if parameter.choices else ()
    numbers = () if parameter.type is str else (sizes if parameter.several else number,)
    return first_of(nothing, *choices, *numbers)


def _rules(command: str) -> dict[str, Rule]:
    operations = operations_of(command)
    made = next(iter(operations.values())).gives
    options = {name: one for operation in operations.values() for name, one in operation.options.items()}
    rules = _WORK | {name: _rule(command, name, one) for name, one in options.items()}
    if has_methods(command):
        rules["method"] = word(*operations)
    formats = getattr(made, "formats", None)
    if formats:
        rules["format"] = word(*formats)
    if not isinstance(made, Table):
        # The name of an image below ``labels/`` stays out.
        rules |= {"shard": sizes, "into_source": nothing} | ({} if formats else {"no_pyramid": truth})
    return rules | _NOTED.get(command, {})


#: Parameters that are published, by command.
PARAMETERS: Final[dict[str, dict[str, Rule]]] = {command: _rules(command) for command in families()}

_LEVEL: Final[dict[str, Rule]] = {
    "path": matching(r"\d{1,3}"),
    **dict.fromkeys(("shape", "chunks", "shards", "scale", "translation"), sizes),
    "codecs": each(word("bytes", "zstd", "gzip", "zlib", "blosc", "transpose", "sharding_indexed", "crc32c", "lz4")),
}
_AXIS: Final[dict[str, Rule]] = {
    "name": word(*"tczyx"),
    "type": first_of(nothing, word("time", "channel", "space")),
    "unit": UNITS,
}


def _numbers(pattern: str) -> Rule:
    """Let of texts only that through which is a number in a public list."""
    compiled = re.compile(pattern, re.ASCII)

    def apply(value: Json) -> Any:
        texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
        return [found.group() for text in texts if (found := compiled.search(text))] or OUT

    return apply


#: What the image's own crate says; names, which are free text, stay out.
_ABOUT: Final[dict[str, Rule]] = {
    "organism": _numbers(r"\bNCBI:txid\d{1,9}\b"),
    "modality": _numbers(r"\bFBbi:\d{8}\b"),
    "image_license": matching(
        r"CC0-1\.0|CC-BY(?:-NC)?(?:-SA|-ND)?-[1-4]\.0"
        r"|https://creativecommons\.org/(?:publicdomain/zero|licenses/by(?:-nc)?(?:-sa|-nd)?)/[1-4]\.0/?"
    ),
}
DESCRIPTION: Final[dict[str, Rule]] = {
    "about": table(_ABOUT),
    **dict.fromkeys(("shape", "scale", "translation", "rows"), sizes),
    "content": table(
        {
            **dict.fromkeys(("voxels", "minimum", "maximum", "sum", "not_finite"), number),
            "position_sum": matching(r"[0-9a-f]{16}"),
        }
    ),
    "chunks_there": table(dict.fromkeys(("found", "looked_for", "total"), number)),
    "version": versions,
    "dtype": matching(r"u?int(?:8|16|32|64)|float(?:16|32|64)|bool"),
    "axes": each(table(_AXIS)),
    "levels": each(table(_LEVEL)),
}
CHECKED: Final[dict[str, Rule]] = {
    "fingerprint": word("taken", "compared", "handed on"),
    "of": word(*KINDS.values()),
    "objects": number,
    "compared": number,
    "at": each(word("start", "resume", "end")),
}
FINGERPRINT: Final[dict[str, Rule]] = {
    "level": word("metadata", "stat", "sample", "full"),
    "algorithm": word("sha256", "sha256-manifest"),
    "value": digest,
    "sample": number,
    "checksums": table({"dandi-zarr-checksum": matching(r"[0-9a-f]{32}-\d{1,12}--\d{1,18}")}),
}
_FIGURES: Final = (
    *("elapsed_seconds", "queue_seconds", "cpu_seconds", "walltime_seconds", "max_rss_bytes", "submitted"),
    *("gpus", "gpu_memory_bytes", "gpu_utilization_percent", "read_bytes", "written_bytes"),
)
_STATES: Final = (
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "RUNNING", "PENDING"),
    *("BOOT_FAIL", "DEADLINE", "COMPLETING", "REQUEUED", "RESIZING", "REVOKED", "SUSPENDED"),
)
JOB: Final[dict[str, Rule]] = {"state": word(*_STATES), **dict.fromkeys(_FIGURES, number)}
TOTAL: Final[dict[str, Rule]] = {"states": table(dict.fromkeys(_STATES, number)), **dict.fromkeys(_FIGURES, number)}
_NAMED: Final[Rule] = table(
    {
        "count": number,
        "first": each(
            table({"time": number, "object": number, "num_pixels": number, "box": table(dict.fromkeys("tczyx", sizes))})
        ),
    }
)
_LICENSES: Final = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0")
_MODEL: Final[dict[str, Rule]] = {
    "id": word(*_SHIPPED),
    "sha256": digest,
    "doi": first_of(nothing, matching(r"(?:https://doi\.org/)?10\.\d{4,9}/[a-z0-9._;()/:-]{1,80}")),
    "version": first_of(nothing, versions),
    "license": first_of(nothing, word(*_LICENSES)),
    "weights": word("onnx", "torchscript", "pytorch_state_dict"),
    **dict.fromkeys(("stride", "tile", "halo", "extended_to"), sizes),
    "reach": table({"before": sizes, "after": sizes}),
    "exact": truth,
    "checked": table({"of": word("sha256 of every file"), "at": each(word("start", "each worker", "end"))}),
}
RESULTS: Final[dict[str, Rule]] = {
    "contrast": each(sizes),
    "thresholds": sizes,
    "objects": first_of(sizes, table({"truth": number, "predicted": number})),
    **dict.fromkeys(("mean_average_precision", "splits", "merges", "rounds"), number),
    "unsplit": _NAMED,
    "not_measured": _NAMED,
    "left_out": each(table({"count": number, "largest_radius": number, "place": sizes, "time": number})),
    "model": table(_MODEL),
    "carried": table(dict.fromkeys(("label_images", "files"), number)),
    "compared": table(dict.fromkeys(("voxels", "blocks", "different", "images"), number)),
    "images": number,
    "shapes": table(dict.fromkeys(("drawn", "labels", "outside", "hidden"), number)),
    "stores": table(dict.fromkeys(("written", "already_there"), number)),
}
BLOCKS: Final = ("total", "done", "resumed", "retried", "failed")
NAMES: Final = (
    *("image", "labels", "parents", "truth", "predicted", "output", "overlay", "dictionary", "table", "summary"),
    *("children", "html", "view", "points", *"bcdefgh"),
)
ENDINGS: Final = {
    "application/vnd.zarr": ".ome.zarr",
    "text/tab-separated-values": ".tsv",
    "text/csv": ".csv",
    "application/vnd.apache.parquet": ".parquet",
    "image/png": ".png",
    "text/html": ".html",
    "application/json": ".json",
    "application/zip": ".zip",
    "image/tiff": ".ome.tiff",
}
#: Of a container the digest leaves, not what somebody called its file.
BUILD: Final[dict[str, Rule]] = {
    "commit": matching(r"[0-9a-f]{40}|[0-9a-f]{64}"),
    "modified": truth,
    "lock_sha256": digest,
    "container_digest": matching(r"sha256:[0-9a-f]{64}"),
}
TOOL: Final[dict[str, Rule]] = {
    "id": matching(r"chunkwise_(?:" + "|".join((*PARAMETERS, "open", "inspect", "crate")) + ")"),
    "version": matching(r"\d+(?:\.\d+)*(?:\+galaxy\d+)?"),
    "server_version": versions,
}
