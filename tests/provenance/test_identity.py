"""A run that reads a dataset names the same data as the run that wrote it."""

from __future__ import annotations

from chunkwise.provenance.record import identity_of

UUID = "99ead9a8-f198-45cd-a745-ee7d0aa5d51b"


def test_a_galaxy_dataset_keeps_its_identity_when_galaxy_moves_it() -> None:
    full = {"level": "full", "algorithm": "sha256-manifest", "value": "1"}
    weak = {"level": "metadata", "algorithm": "sha256-manifest", "value": "2"}
    written = identity_of(f"/g/jobs/000/159/outputs/dataset_{UUID}_files/labels.ome.zarr", None, full)
    read = identity_of(f"/g/objects/9/9/e/dataset_{UUID}_files/labels.ome.zarr", "galaxy", weak)
    assert written == read


def test_other_data_of_galaxy_have_another_identity() -> None:
    other = UUID.replace("99ead9a8", "99ead9a9")
    one = identity_of(f"/g/dataset_{UUID}_files/labels.ome.zarr")
    assert one != identity_of(f"/g/dataset_{other}_files/labels.ome.zarr")
    assert one != identity_of(f"/g/dataset_{UUID}_files/other.ome.zarr")
    # A folder of that name that somebody made by hand is none of Galaxy's.
    assert identity_of("/a/dataset_1_files/x") != identity_of("/b/dataset_1_files/x")
