"""What images show: read from texts, files and the crates of collections, and written so that a crate is valid."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chunkwise.cli import main
from chunkwise.commands.crate.about import add_about, details_of
from chunkwise.errors import InputError
from chunkwise.provenance.biology import Biology, Channel, Term, parse_channel, parse_term, read_source_crate
from chunkwise.provenance.carried import carried_by
from chunkwise.provenance.crate import METADATA_FILE, build_crate, crate_files
from chunkwise.provenance.details import Author, biology_from, read_about
from chunkwise.provenance.publishing.record import publish
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.validate import validate_crate
from chunkwise.storage.location import Location

Graph = dict[str, dict[str, Any]]
HUMAN = Term("organism", "Homo sapiens", "9606")
CONFOCAL = Term("modality", "confocal microscopy", "00000251")

#: In the form of the collections of 2024: terms of which the context says nothing, a licence in British spelling, no
#: date, identifiers of several styles.
OF_A_COLLECTION: dict[str, Any] = {
    "@context": [
        "https://w3id.org/ro/crate/1.1/context",
        {
            "organism_classification": "https://schema.org/taxonomicRange",
            "obo": "http://purl.obolibrary.org/obo/",
            "biosample": "http://purl.obolibrary.org/obo/OBI_0002648",
            "specimen": "http://purl.obolibrary.org/obo/HSO_0000308",
        },
    ],
    "@graph": [
        {
            "@id": "./",
            "@type": "Dataset",
            "name": "Cells of a fish",
            "description": "Whole embryos.",
            "licence": "https://creativecommons.org/licenses/by/4.0/",
            "resultOf": {"@id": "#one"},
        },
        {
            "@id": METADATA_FILE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {"@id": "#three", "@type": ["biosample"], "organism_classification": {"@id": "NCBI:txid7955"}},
        {"@id": "#two", "@type": "specimen", "name": "Embryo at 24 h", "biosample": {"@id": "#three"}},
        {
            "@id": "#one",
            "@type": "image_acquisition",
            "fbbi_id": {"@id": "obo:FBbi_00000369"},
            "specimen": {"@id": "#two"},
        },
    ],
}
KNOWN_OF_IT = Biology(
    organisms=(Term("organism", None, "7955"),),
    modalities=(Term("modality", None, "00000369"),),
    specimen="Embryo at 24 h",
    license="https://creativecommons.org/licenses/by/4.0/",
)


def entities(files: dict[str, bytes]) -> Graph:
    return {entity["@id"]: entity for entity in json.loads(files[METADATA_FILE])["@graph"]}


def said(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_about(parser)
    return parser.parse_args(options)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Homo sapiens (NCBI:txid9606)", HUMAN),
        ("NCBI:txid9606|Homo sapiens", HUMAN),
        ("Homo sapiens, NCBITaxon:9606", HUMAN),
        ("Homo sapiens http://purl.obolibrary.org/obo/NCBITaxon_9606", HUMAN),
        ("NCBI:txid009606", Term("organism", None, "9606")),
        ("Homo sapiens", Term("organism", "Homo sapiens")),
    ],
)
def test_organisms_as_people_write_them(text: str, term: Term) -> None:
    assert parse_term(text, "organism") == term


@pytest.mark.parametrize(
    "text",
    [
        "confocal microscopy (FBbi:00000251)",
        "obo:FBbi_00000251 confocal microscopy",
        "confocal  microscopy FBbi_00000251",
    ],
)
def test_modalities_as_people_write_them(text: str) -> None:
    assert parse_term(text, "modality") == CONFOCAL


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "organism"),
        ("()", "modality"),
        ("FBbi:251", "modality"),
        ("NCBI:9606", "organism"),
        ("FBbi:00000251", "organism"),
        ("NCBI:txid9606", "modality"),
        ("NCBI:txid9606 NCBI:txid10090", "organism"),
    ],
)
def test_what_cannot_be_a_term_is_refused(text: str, kind: str) -> None:
    with pytest.raises(InputError, match=f"cannot be read as the {kind}; write it like"):
        parse_term(text, kind)


def test_channels() -> None:
    assert parse_channel("DAPI: nuclei: all") == Channel("DAPI", "nuclei: all")
    assert parse_channel(" GFP ") == Channel("GFP")
    with pytest.raises(InputError, match="is not a channel"):
        parse_channel(": nuclei")


def test_a_crate_that_says_everything_is_valid_and_read_back(chain: list[RunRecord], tmp_path: Path) -> None:
    options = ["--organism", "Homo sapiens (NCBI:txid9606)", "--organism", "a virus", "--specimen", "HeLa cells, fixed"]
    options += [
        "--modality",
        "confocal microscopy (FBbi:00000251)",
        "--biosample",
        "HeLa",
        "--image-license",
        "CC0-1.0",
    ]
    details = details_of(said(*options, "--channel", "DAPI: nuclei", "--channel", "GFP"))
    build_crate(chain[:1], tmp_path / "crate.zip", details=details)
    assert validate_crate(tmp_path / "crate.zip") == []
    assert details.biology is not None
    assert details.biology.organisms == (HUMAN, Term("organism", "a virus"))
    assert read_source_crate(tmp_path / "crate.zip") == details.biology


def test_it_is_said_of_the_images_that_the_runs_began_with(chain: list[RunRecord]) -> None:
    graph = entities(crate_files(chain, details=details_of(said("--organism", "NCBI:txid9606", "--channel", "DAPI"))))
    images = {name for name, entity in graph.items() if "resultOf" in entity}
    read = [resource for record in chain for resource in record.inputs if resource.kind == "image"]
    assert images == {f"#{resource.identity.removeprefix('urn:uuid:')}" for resource in read}
    (image, *_) = images
    acquisition = graph[graph[image]["resultOf"]["@id"]]
    biosample = graph[graph[acquisition["specimen"]["@id"]]["biosample"]["@id"]]
    taxon = graph[biosample["organism_classification"]["@id"]]
    assert taxon["@id"] == "http://purl.obolibrary.org/obo/NCBITaxon_9606"
    assert taxon["termCode"] == taxon["name"] == "NCBITaxon:9606"
    assert graph[graph[image]["variableMeasured"]["@id"]]["value"] == "DAPI"


def test_without_it_no_term_is_added_to_the_context(chain: list[RunRecord]) -> None:
    document = json.loads(crate_files(chain)[METADATA_FILE])
    assert all(isinstance(context, str) for context in document["@context"])


def test_a_collection_s_crate_is_not_valid_and_what_is_taken_from_it_is(chain: list[RunRecord], tmp_path: Path) -> None:
    source = tmp_path / "image.ome.zarr" / METADATA_FILE
    source.parent.mkdir()
    source.write_text(json.dumps(OF_A_COLLECTION))
    broken = validate_crate(source.parent)
    assert any("resultOf" in issue.message for issue in broken)
    assert any("datePublished" in issue.message for issue in broken)
    assert read_source_crate(source) == KNOWN_OF_IT
    build_crate(chain[:1], tmp_path / "crate.zip", details=details_of(said("--source-crate", str(source))))
    assert validate_crate(tmp_path / "crate.zip") == []
    assert read_source_crate(tmp_path / "crate.zip") == KNOWN_OF_IT


def test_options_come_before_the_file_and_the_file_before_the_source(tmp_path: Path) -> None:
    source, about = tmp_path / METADATA_FILE, tmp_path / "about.yml"
    source.write_text(json.dumps(OF_A_COLLECTION))
    about.write_text("name: From the file\nspecimen: From the file\nmodality: confocal microscopy (FBbi:00000251)\n")
    options = said("--specimen", "From the option", "--about", str(about), "--source-crate", str(source))
    details = details_of(options)
    assert details.name == "From the file"
    assert details.biology is not None
    assert details.biology.specimen == "From the option"
    assert details.biology.modalities == (CONFOCAL,)
    assert details.biology.organisms == KNOWN_OF_IT.organisms


def test_the_file_of_the_help_page(chain: list[RunRecord], tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "commands" / "crate.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "about.yml").write_text(example)
    details = read_about(tmp_path / "about.yml")
    assert details.biology is not None
    assert details.biology.organisms == (HUMAN,)
    assert details.biology.channels == (Channel("DAPI", "nuclei"), Channel("GFP"))
    assert details.authors[0] == Author(
        "Ann Example", "0000-0002-1825-0097", "Institute of Cells", "https://ror.org/02feahw73"
    )
    build_crate(chain[:1], tmp_path / "crate.zip", details=details)
    graph = entities(crate_files(chain, details=details))
    people = [graph[link["@id"]]["name"] for link in graph["./"]["author"]]
    assert people == ["Ann Example", "Bo Example"]
    assert graph[graph["./"]["publisher"]["@id"]]["name"] == "Institute of Cells"
    assert validate_crate(tmp_path / "crate.zip") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "key: value"),
        ("just words", "key: value"),
        ("a: [", "is not YAML (line 1)"),
        ("organsim: x", "unknown key 'organsim'; it may have name, description"),
        ("organism: 9606", "no text in 'organism'; put the text in quotation marks"),
        ("organism: NCBI:96", "cannot be read as the organism"),
        ("modality: [x, '']", "no text in 'modality'"),
        ("channels: DAPI", "no list in 'channels'"),
        ("channels: [{shows: nuclei}]", "channels, has no text in 'name'"),
        ("channels: [{name: DAPI, colour: blue}]", "unknown key 'colour'"),
        ("authors: {name: Ann}", "no list in 'authors'"),
        ("authors: [{nmae: Ann}]", "unknown key 'nmae'"),
        ("name: !!python/object/apply:os.system ['true']", "is not YAML"),
        ("name: \x00", "is not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_gets_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "about.yml").write_text(text)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_about(tmp_path / "about.yml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not JSON"),
        (b"{}", "is not an RO-Crate's"),
        (b'{"@graph": [7]}', "is not an RO-Crate's"),
        (b'{"@graph": []}', "says nothing about organism"),
        (b'{"@graph": [{"@id": "./", "@type": 3, "license": {"@value": 1}}]}', "says nothing about organism"),
        (b"[" * 100_000, "nested too deep"),
        (b"PK\x05\x06" + b"\0" * 18, "without ro-crate-metadata.json"),
    ],
)
def test_a_source_that_cannot_be_used_gets_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(words)):
        read_source_crate(tmp_path / "x")
    with pytest.raises(InputError, match="cannot be read"):
        read_source_crate(tmp_path / "absent")


def test_a_damaged_zip_gets_one_sentence(chain: list[RunRecord], tmp_path: Path) -> None:
    build_crate(chain[:1], tmp_path / "crate.zip")
    content = bytearray((tmp_path / "crate.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "crate.zip") as archive:
        begin = archive.getinfo("ro-crate-metadata.json").header_offset + 60
    content[begin : begin + 40] = bytes(range(200, 240))
    (tmp_path / "crate.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"crate\.zip cannot be read: Error -3"):
        read_source_crate(tmp_path / "crate.zip")


def with_images(*told: dict[str, Any] | None) -> RunRecord:
    recorder = Recorder("compare", {})
    for number, about in enumerate(told):
        recorder.input("image", "image", f"/nowhere/{number}.ome.zarr", description={"about": about} if about else {})
    return recorder.finish()


def test_images_keep_what_their_own_crates_said(tmp_path: Path) -> None:
    fish = Biology(organisms=(Term("organism", None, "7955"),), specimen="Embryo")
    record = with_images(fish.to_dict(), Biology(organisms=(HUMAN,)).to_dict(), fish.to_dict(), None)
    build_crate([record], tmp_path / "crate.zip")
    assert validate_crate(tmp_path / "crate.zip") == []
    graph = entities(crate_files([record]))

    def organism_of(number: int) -> Any:
        image = graph[f"#{record.inputs[number].identity.removeprefix('urn:uuid:')}"]
        if "resultOf" not in image:
            return None
        biosample = graph[graph[graph[image["resultOf"]["@id"]]["specimen"]["@id"]]["biosample"]["@id"]]
        return biosample["organism_classification"]["@id"].rpartition("_")[2]

    assert [organism_of(number) for number in range(4)] == ["7955", "9606", "7955", None]
    stated = details_of(said("--organism", "Mus musculus (NCBI:txid10090)"))
    graph = entities(crate_files([record], details=stated))
    assert [organism_of(number) for number in range(4)] == ["10090"] * 4


def test_every_form_of_what_is_known_is_read_back() -> None:
    for biology in (
        KNOWN_OF_IT,
        Biology(),
        Biology(modalities=(CONFOCAL,), channels=(Channel("a", "b"), Channel("c"))),
    ):
        assert not biology or biology_from(biology.to_dict(), "It") == biology


@pytest.mark.parametrize("about", [{"organism": "FBbi:1"}, {"surprise": "x"}, {"channels": 3}, "text", ["x"]])
def test_a_record_that_was_tampered_with_is_refused(about: Any) -> None:
    with pytest.raises(InputError, match="A description in the run record"):
        crate_files([with_images(about)])


def test_a_run_takes_along_what_lies_in_the_store(tmp_path: Path) -> None:
    store = tmp_path / "coins.ome.zarr"
    shutil.copytree(Path(__file__).parents[2] / "test-data" / "coins_2d.ome.zarr", store)
    (store / METADATA_FILE).write_text(json.dumps(OF_A_COLLECTION))
    piece, crate = tmp_path / "piece.ome.zarr", tmp_path / "crate.zip"
    words = [
        "fetch",
        str(store),
        "--region",
        "0:9,0:9",
        "--output",
        str(piece),
        "--workers",
        "1",
        "--crate",
        str(crate),
    ]
    assert main(words) == 0
    assert read_source_crate(crate) == KNOWN_OF_IT
    assert validate_crate(crate) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"@graph": [3]}', b"[" * 100_000, b" " * 2**21])
def test_what_in_a_store_cannot_be_understood_is_not_there(tmp_path: Path, content: bytes) -> None:
    place = Location(str(tmp_path), None, str(tmp_path), str(tmp_path))
    assert carried_by(place) == {}
    (tmp_path / METADATA_FILE).write_bytes(content)
    assert carried_by(place) == {}


def test_numbers_and_known_licences_of_it_are_published_and_no_words() -> None:
    told = Biology(
        (HUMAN, Term("organism", "a secret")), (CONFOCAL,), "A secret", "A secret", (Channel("secret"),), "CC-BY-4.0"
    )
    (record,), _ = publish([with_images(told.to_dict(), Biology((), (), "A secret").to_dict())], {})
    assert "secret" not in record.to_json()
    first, second = (resource.description["about"] for resource in record.inputs)
    assert first == {"organism": ["NCBI:txid9606"], "modality": ["FBbi:00000251"], "image_license": "CC-BY-4.0"}
    assert second == {}
    assert crate_files([record])
