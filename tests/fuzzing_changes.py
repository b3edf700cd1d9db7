"""How the fuzzer breaks bytes, JSON, files of settings and zip files; what it draws is given by the generator."""

from __future__ import annotations

import contextlib
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["VALUES", "change_bytes", "change_json", "change_lines", "change_zip"]

VALUES = [
    "", " ", "0", "-1", "1", "1e308", "-1e308", "nan", "inf", "9" * 30, "1.5", "0x10", "١", "2**63", "0:0", "5:2",
    "-3:", ":", "0:1e9", "0:64,0:64", "0:64,0:64,0:64,0:64", "0:9999999999999999999", "::", "a", "é", "\udcff", "/",
    ".", "..", "/dev/null", "i.ome.zarr", "l.ome.zarr", "~/x", "no/such/folder", "\n", "x" * 5000, "--", "-", "1,1",
    "0,0", "1,2,3,4", "999999999,999999999", "otsu", "1GiB", "1B", "0GiB", "-1GiB", "label", "mean", "area,,mean", "http://[::1",
    "s3://", "file:///etc/passwd", "http://", "DAPI", "None", "true", "[]", "{}", "%s", "$(id)", "COM1", "a\tb", "0.5",
    "-0", "100%",
]  # fmt: skip
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf"), "", "x",
    "x" * 5000, "\0", "é\u202e", "../..", "/etc", "http://example.org/x", [], {}, [[]], [None], {"a": {}}, [1] * 2000,
    "0", "uint16", "float16", "complex64", "|V3", [0, 0], [-1, -1], [1, 1, 1, 1, 1, 1], {"name": "x"}, "2026-13-45",
    "NaN",
]  # fmt: skip


def change_bytes(rng: random.Random, path: Path) -> str:
    """Break the bytes of a file, or put something else in its place."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(max(1, len(content)))
    kind = rng.choice(
        ["flip", "cut", "empty", "noise", "longer", "folder", "loop", "gone", "dangling", "zeros", "some"]
    )
    if kind == "flip" and content:
        content[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[place:]
    elif kind == "empty":
        content.clear()
    elif kind == "noise":
        content = bytearray(rng.randbytes(len(content)))
    elif kind == "some":
        content[place : place + 8] = rng.randbytes(8)
    elif kind == "longer":
        content += rng.randbytes(64)
    elif kind == "zeros":
        content = bytearray(len(content))
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind in ("loop", "dangling"):
        path.symlink_to(path.name if kind == "loop" else "nowhere")
    elif kind != "gone":
        path.write_bytes(content)
    return f"{path}: {kind}"


def change_json(rng: random.Random, path: Path) -> str:
    """Change one value of a JSON document, or break its text."""
    content = path.read_bytes()
    if rng.random() < 0.2:
        return change_bytes(rng, path)
    if rng.random() < 0.15:
        texts = [
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"\xef\xbb\xbf" + content,
            content.decode().encode("utf-16"),
            b"null",
        ]
        texts += [b"1" * 5000, b'"\\ud800"', content + content, b"[]", b'{"a": 1, "a": 2}', b"\xff" * 9, b"{}", b'"x"']
        path.write_bytes(rng.choice(texts))
        return f"{path}: another text"
    path.write_text(json.dumps(changed(rng, json.loads(content)), ensure_ascii=rng.random() < 0.5), "utf-8")
    return f"{path}: a value"


def changed(rng: random.Random, document: Any) -> Any:
    """Replace, remove, double or swap a value somewhere."""
    places = list(places_in(document))
    if not places:
        return rng.choice(STRANGE)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        holder, key = rng.choice(places)
        if (isinstance(holder, list) and key >= len(holder)) or (isinstance(holder, dict) and key not in holder):
            continue
        kind = rng.choice(["replace", "replace", "replace", "remove", "double", "swap", "rename"])
        if kind == "remove":
            del holder[key]
        elif kind == "double" and isinstance(holder, list):
            holder.append(holder[key])
        elif kind == "rename" and isinstance(holder, dict):
            holder[rng.choice(["x", f"{key}s", "", key.upper()])] = holder.pop(key)
        elif kind == "swap":
            other, place = rng.choice(places)
            with contextlib.suppress(LookupError):
                holder[key] = json.loads(json.dumps(other[place]))
        else:
            holder[key] = rng.choice(STRANGE)
    return document


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a document."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places_in(value[key])


def change_lines(rng: random.Random, path: Path) -> str:
    """Change a line of a file of settings."""
    if rng.random() < 0.2:
        return change_bytes(rng, path)
    lines = path.read_text().splitlines()
    number = rng.randrange(len(lines))
    line = lines[number]
    kind = rng.choice(["remove", "double", "value", "value", "value", "indent", "noise", "key"])
    sign = "=" if "=" in line else ":"
    values = [
        '""',
        "0",
        "-1",
        "null",
        "[]",
        "{}",
        '"x"',
        "1e400",
        "true",
        '"../../x"',
        "'",
        "9" * 400,
        "*a",
        "&a [*a]",
        "|",
    ]
    values += [
        "2026-01-01",
        "!!python/object:os.system",
        "[" * 2000,
        '"/etc/passwd"',
        "nan",
        "0x",
        "https://example.org/x",
    ]
    if kind == "remove":
        del lines[number]
    elif kind == "double":
        lines.insert(number, line)
    elif kind == "value":
        lines[number] = f"{line.split(sign)[0]}{sign} {rng.choice(values)}"
    elif kind == "indent":
        lines[number] = f"   {line}"
    elif kind == "noise":
        lines[number] = rng.choice(["\0", "é" * 50, "%", "\t", "---", "{", "]"])
    else:
        lines[number] = f"x{line}"
    path.write_text("\n".join(lines) + "\n")
    return f"{path}: line {number + 1}, {kind}: {lines[min(number, len(lines) - 1)][:60]!r}"


def change_zip(rng: random.Random, path: Path) -> str:
    """Break a zip file as bytes, or a file in it."""
    if rng.random() < 0.5:
        return change_bytes(rng, path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(files))
    kind = rng.choice(["json", "json", "json", "gone", "twice", "name", "method", "encrypted", "crc", "huge"])
    if kind == "json" and name.endswith(".json"):
        files[name] = json.dumps(changed(rng, json.loads(files[name]))).encode()
    elif kind == "gone":
        del files[name]
    elif kind == "name":
        files[rng.choice(["../x", "/x", "", "records/\udcff.json", "a" * 300, "records/x.json"])] = files.pop(name)
    path.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in files.items():
            with contextlib.suppress(UnicodeEncodeError):
                archive.writestr(key, value)
    content = bytearray(path.read_bytes())
    central = content.rfind(b"PK\x01\x02")
    local = content.find(b"PK\x03\x04")
    if kind == "twice":
        content += bytes(content)
    elif kind == "method":
        content[central + 10] = content[local + 8] = rng.choice([1, 9, 12, 14, 93, 99])
    elif kind == "encrypted":
        content[central + 8] |= 1
        content[local + 6] |= 1
    elif kind == "crc":
        content[central + 16 : central + 20] = b"\1\2\3\4"
    elif kind == "huge":
        content[central + 24 : central + 28] = b"\xfe\xff\xff\xff"
    path.write_bytes(content)
    return f"{path}: {kind} {name}"
