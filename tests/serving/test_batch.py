import json

import pytest

from facemix.errors import FacemixError, FaceNotFound, RequestInvalid
from facemix.mixing.notes import Note
from facemix.mixing.recipe import ModelIdentity, Recipe, SampleParent
from facemix.serving.batch import failed, made, manifest, read_table, result_name, safe_path
from facemix.serving.types import PhotoInput, SampleInput


def rows(text: str, **options):
    return read_table(text.encode(), **options)


def test_a_row_of_two_faces():
    (row,) = rows("a,b,weight,name,attr:smile,attr:age,prompt,seed\nanna.jpg, ben.jpg ,0.25,Both,1,-0.5,older,7\n")
    assert (row.number, row.name) == (1, "Both")
    assert row.wish.sources == ("anna.jpg", "ben.jpg")
    assert row.wish.weights == (0.75, 0.25)
    assert row.wish.edits.attributes == {"age": -0.5, "smile": 1.0}
    assert (row.wish.edits.seed, row.wish.prompt) == (7, "older")
    parents = row.wish.parents(lambda name: name.encode())
    assert parents == (
        PhotoInput(b"anna.jpg", "anna.jpg", weight=0.75),
        PhotoInput(b"ben.jpg", "ben.jpg", weight=0.25),
    )


def test_rows_of_more_or_fewer_faces():
    one, two, three = rows("p1,w1,p2,w2,p3,w3\nsample:5,,,,,\na.jpg,1,b.jpg,3,,\na.jpg,2,x/b.jpg,1,sample:4,1\n")
    assert (one.wish.sources, one.wish.weights, one.name) == ((5,), (1.0,), "sample5")
    assert (two.wish.sources, two.wish.weights) == (("a.jpg", "b.jpg"), (0.25, 0.75))
    assert (three.wish.sources, three.wish.weights, three.name) == (
        ("a.jpg", "x/b.jpg", 4),
        (0.5, 0.25, 0.25),
        "a-b-sample4",
    )
    assert three.wish.parents(str.encode)[2] == SampleInput(4, "sample:4", 0.25)


def test_a_table_as_spreadsheets_write_it():
    (row,) = rows('\ufeffa,b,name\r\n"one, two.jpg",b.jpg,"said ""so"""\r\n,,\r\n\r\n')
    assert row.wish.sources == ("one, two.jpg", "b.jpg")
    assert row.name == 'said "so"'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "do not name faces"),
        ("name\nx\n", "do not name faces"),
        ("a\nx.jpg\n", "do not name faces"),
        ("a,b,p1\nx,y,z\n", "do not name faces"),
        ("p1,p3\nx,y\n", "do not name faces"),
        ("p1,w2\nx,1\n", "do not name faces"),
        ("a,b,a\nx,y,z\n", "'a' is there twice"),
        ("a,b,wieght\nx,y,1\n", "'wieght' is not known"),
        ("a,b\n", "no rows"),
        ("a,b\nx,y\nx,y\nx,y\n", "3 rows"),
        ('a,b\n"x,y\n', "no table"),
    ],
)
def test_what_is_no_table_is_refused(text, says):
    with pytest.raises(RequestInvalid, match=says) as refusal:
        rows(text, most=2)
    assert refusal.value.where == "pairs.csv"


def test_a_table_that_is_no_text_is_refused():
    with pytest.raises(RequestInvalid, match="no table"):
        read_table(b"a,b\n\xff\xfe,x\n")


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (",b.jpg,,,,", "a"),
        ("a.jpg,,,,,", "b"),
        ("a.jpg,b.jpg,1.5,,,", "weight"),
        ("a.jpg,b.jpg,nan,,,", "weight"),
        ('a.jpg,b.jpg,"0,5",,,', "weight"),
        ("a.jpg,b.jpg,,4,,", "attributes.smile"),
        ("a.jpg,b.jpg,,x,,", "attr:smile"),
        ("a.jpg,b.jpg,,,cubic,", "interpolation"),
        ("a.jpg,b.jpg,,,,1.5", "seed"),
        ("a.jpg,b.jpg,,,,,,more", None),
        ("a.jpg,sample:99999999999,,,,", "b"),
        ("a.jpg,sample:2147483648,,,,", "b"),
        ("../a.jpg,b.jpg,,,,", "a"),
    ],
)
def test_a_row_that_cannot_be_understood_says_why_and_stops_no_other(line, where):
    bad, good = rows(f"a,b,weight,attr:smile,interpolation,seed\n{line}\nx.jpg,y.jpg,,,,\n")
    assert isinstance(bad.wish, FacemixError)
    assert bad.wish.where == where
    assert good.wish.sources == ("x.jpg", "y.jpg")


@pytest.mark.parametrize("path", ["../a", "/a", "x/../a", "..", "", ".", "a\\b", "C:a", "a\0b", "//a/b"])
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(RequestInvalid, match="not below"):
        safe_path(path)


@pytest.mark.parametrize(("path", "plain"), [("a.jpg", "a.jpg"), ("./x//a b.jpg", "x/a b.jpg"), ("-x.jpg", "-x.jpg")])
def test_a_path_below_is_taken_without_detours(path, plain):
    assert safe_path(path) == plain


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Anna & Ben", "0012-Anna_Ben.png"),
        ("../../etc/passwd", "0012-etc_passwd.png"),
        ("..", "0012-face.png"),
        ("José-李", "0012-José-李.png"),
        ("x" * 300, f"0012-{'x' * 48}.png"),
        ("nul\0\n", "0012-nul.png"),
    ],
)
def test_a_result_has_a_name_that_every_file_system_takes(name, file):
    assert result_name(12, name, ".png") == file


def test_the_manifest_says_what_became_of_each():
    model = ModelIdentity(name="tiny", weights="ab" * 32)
    recipe = Recipe(model=model, parents=(SampleParent(number=3, weight=1),))
    entries = [
        failed(2, "two", FaceNotFound("no face was found", hint="try another", where="b.jpg")),
        made(1, "one", "0001-one.png", "cd" * 32, recipe, [Note("x", "X is so.")], inputs="ef"),
    ]
    document = json.loads(json.dumps(manifest(model, entries)))
    assert (document["made"], document["failed"], document["model"]["name"]) == (1, 1, "tiny")
    first, second = document["items"]
    assert Recipe.model_validate(first["recipe"]) == recipe
    assert (first["file"], first["inputs"], first["notes"]) == (
        "0001-one.png",
        "ef",
        [{"code": "x", "message": "X is so."}],
    )
    assert (second["problem"]["code"], second["problem"]["where"]) == ("face_not_found", "b.jpg")
