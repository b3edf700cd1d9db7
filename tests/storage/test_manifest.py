"""Fingerprints and manifests, held against sha256sum, awk and zarrsum."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import made_stores
from chunkwise.errors import InputError, PolicyError
from chunkwise.storage.dandi import dandi_checksum
from chunkwise.storage.fingerprint import METADATA_NAMES, SAMPLE, fingerprint
from chunkwise.storage.location import Location
from chunkwise.storage.manifest import Manifest
from chunkwise.storage.objects import object_keys, read_objects
from chunkwise.storage.writer import StoredObject


def survey(store: Path, md5: bool = False) -> Manifest:
    location = Location(str(store))
    return Manifest.of(read_objects(location, object_keys(location), md5=md5))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (64, 64), chunk=8)
    for number in range(40):
        (made / "0" / "c" / str(number)).mkdir(parents=True)
        (made / "0" / "c" / str(number) / "0").write_bytes(os.urandom(number))
    return made


def test_the_file_is_what_awk_and_sha256sum_understand(store: Path, tmp_path: Path) -> None:
    manifest = survey(store)
    (tmp_path / "m.tsv.gz").write_bytes(manifest.to_bytes())
    lines = f"zcat {tmp_path}/m.tsv.gz | awk -F'\\t' '{{print $1 \"  \" $3}}' | "
    root = subprocess.run(
        ["sh", "-c", f"{lines} sha256sum"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    assert root == manifest.digest == fingerprint(Location(str(store)), "full")["value"]
    checked = subprocess.run(["sh", "-c", f"{lines} sha256sum -c --quiet"], cwd=store, check=False)
    assert checked.returncode == 0
    sizes = {key: size for key, (_, size) in manifest.objects.items()}
    assert sizes == {p.relative_to(store).as_posix(): p.stat().st_size for p in store.rglob("*") if p.is_file()}
    (store / "0" / "c" / "7" / "0").write_bytes(b"other")
    assert subprocess.run(["sh", "-c", f"{lines} sha256sum -c --quiet"], cwd=store, check=False).returncode == 1


def test_the_bytes_of_a_manifest_depend_on_the_objects_alone(store: Path) -> None:
    manifest = survey(store)
    items = [StoredObject(key, sha256, size) for key, (sha256, size) in manifest.objects.items()]
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert Manifest.of(items).to_bytes() == manifest.to_bytes()
    assert Manifest.from_bytes(manifest.to_bytes(), "m") == manifest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "no manifest\n",
        f"{'a' * 64}\t1\tb\n{'a' * 64}\t1\ta\n",  # not sorted
        f"{'a' * 64}\t1\ta\n{'a' * 64}\t1\ta\n",  # twice
        f"{'a' * 64}\t-1\ta\n",
        f"{'a' * 63}\t1\ta\n",
        f"{'a' * 64}\t1\ta",  # torn
        f"{'a' * 64}\t1\t{'a' * 70000}\n",
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    import gzip

    with pytest.raises(InputError, match="is not a manifest"):
        Manifest.from_bytes(gzip.compress(text.encode()), "m")
    whole = gzip.compress(f"{'a' * 64}\t1\ta\n".encode())
    for content in (whole[:-9], b"plain", whole[:15] + b"\0" + whole[16:]):
        with pytest.raises(InputError, match="is not a manifest"):
            Manifest.from_bytes(content, "m")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_checksum_of_dandi_is_what_zarrsum_prints(tmp_path: Path, version: str) -> None:
    store = made_stores.write(tmp_path / "i.ome.zarr", version, "cyx", (3, 40, 40))
    import zarr

    array = zarr.open_array(store / "0", mode="r+")
    array[...] = 7
    (store / "ro-crate-metadata.json").write_text("{}")  # the archive counts it
    (store / "a.b").mkdir()
    (store / "a.b" / "c ä").write_bytes(b"")
    (store / "a").mkdir()
    (store / "a" / "b").write_bytes(b"x" * 100)
    (store / "empty").mkdir()
    program = Path(sys.executable).with_name("zarrsum")
    printed = subprocess.run([program, "local", store], capture_output=True, text=True, check=True).stdout
    location = Location(str(store))
    seen = list(read_objects(location, object_keys(location, about=True), md5=True))
    random.Random(0).shuffle(seen)
    assert dandi_checksum(seen) == printed.split()[-1]


def test_a_sample_is_what_it_says(store: Path) -> None:
    location = Location(str(store))
    taken = fingerprint(location, "sample", sample=10)
    assert taken["level"] == "sample"
    assert taken["sample"] == 10
    assert fingerprint(location, "sample")["sample"] == SAMPLE
    files = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    documents = {key for key in files if key.rsplit("/", 1)[-1] in METADATA_NAMES}
    assert len(documents) == 3
    lot = sorted(files.keys() - documents, key=lambda key: hashlib.sha256(key.encode()).hexdigest())[:10]
    text = ""
    for key in sorted(files):
        content = files[key].read_bytes()
        hashed = key in documents or key in lot
        text += f"{hashlib.sha256(content).hexdigest() if hashed else f'size:{len(content)}'}  {key}\n"
    assert taken["value"] == hashlib.sha256(text.encode()).hexdigest()

    def notices(key: str, content: bytes) -> bool:
        before = files[key].read_bytes()
        files[key].write_bytes(content)
        try:
            return bool(fingerprint(location, "sample", sample=10) != taken)
        finally:
            files[key].write_bytes(before)

    (left_out, *_) = sorted(key for key in files.keys() - documents - set(lot) if files[key].stat().st_size)
    same_size = bytes(files[left_out].stat().st_size)
    assert not notices(left_out, same_size), "the sample has become larger than it says"
    assert notices(left_out, same_size + b"1")
    seen = max(lot, key=lambda key: files[key].stat().st_size)
    assert notices(seen, bytes(files[seen].stat().st_size))
    assert notices("0/zarr.json", bytes(files["0/zarr.json"].stat().st_size))


def test_a_sample_is_the_same_in_a_copy(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "copy")
    shutil.rmtree(store / "1")
    shutil.rmtree(tmp_path / "copy" / "1")
    one, other = (fingerprint(Location(str(path)), "sample", sample=5) for path in (store, tmp_path / "copy"))
    assert one == other


def test_what_no_listing_can_say_is_refused(store: Path) -> None:
    for name in ("a\nb", "pipe"):
        path = store / name
        path.write_bytes(b"") if "\n" in name else os.mkfifo(path)
        with pytest.raises(InputError, match=r"line break|not a regular file"):
            fingerprint(Location(str(store)), "full")
        path.unlink()
    (store / "0" / "c" / "gone").symlink_to(store / "nowhere")
    with pytest.raises(InputError, match="cannot be read"):
        fingerprint(Location(str(store)), "full")


def test_a_name_that_is_not_in_utf_8_counts(store: Path) -> None:
    before = fingerprint(Location(str(store)), "full")
    with open(os.fsencode(store) + b"/\xff", "wb") as file:
        file.write(b"x")
    after = survey(store)
    assert fingerprint(Location(str(store)), "full")["value"] == after.digest != before["value"]
    assert Manifest.from_bytes(after.to_bytes(), "m") == after


def test_folders_behind_links_are_read_like_the_image_reads_them(store: Path, tmp_path: Path) -> None:
    whole = survey(store)
    (store / "0" / "c").rename(tmp_path / "elsewhere")
    (store / "0" / "c").symlink_to(tmp_path / "elsewhere")
    linked = survey(store)
    assert linked == whole
    values = {level: fingerprint(Location(str(store)), level)["value"] for level in ("stat", "sample", "full")}
    (tmp_path / "elsewhere" / "7" / "0").write_bytes(b"other, and longer")
    assert list(whole.compare(survey(store)).changed) == ["0/c/7/0"]
    assert all(fingerprint(Location(str(store)), level)["value"] != value for level, value in values.items())


def test_links_in_a_store_cannot_lead_out_of_the_policy_or_round_and_round(store: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (store / "9").symlink_to(tmp_path / "closed")
    with pytest.raises(PolicyError, match="symbolic link"):
        object_keys(Location(str(store), None, str(store)))
    (store / "9").unlink()
    (store / "0" / "up").symlink_to(store / "9")
    (store / "9").symlink_to(store / "0")
    with pytest.raises(InputError, match="leads back to itself"):
        object_keys(Location(str(store)))
