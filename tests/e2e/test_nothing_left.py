"""A session with photographs that carry marks nobody could overlook, and then a search for these marks everywhere."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from portraits import portrait
from served import serving

from facemix.safety import terms

MARKER = b"PLANTED-7f3a91c4-DO-NOT-KEEP"
NAME = "planted-file-name-5b2e.jpg"


def marked_photo() -> bytes:
    """A JPEG with the marker in its comment, in its EXIF data, and after its end."""
    exif = Image.Exif()
    exif[0x010E] = MARKER.decode()
    buffer = io.BytesIO()
    Image.fromarray(portrait()).save(buffer, "JPEG", quality=90, exif=exif, comment=MARKER)
    return buffer.getvalue() + MARKER


def traces(photo: bytes) -> dict[str, bytes]:
    """What would show that the photograph, or its name, was kept: as it is, in base64 at any offset, and in hex."""
    middle = photo[len(photo) // 2 :][:48]  # of the picture itself
    found = {"name": NAME.encode()}
    for name, part in (("marker", MARKER), ("picture", middle)):
        found[name] = part
        found[f"{name} in hex"] = part.hex().encode()
        found[f"{name} in capital hex"] = part.hex().upper().encode()
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + part)
            found[f"{name} in base64, {offset}"] = encoded[4:-4]
    return found


def files_below(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def hits(wanted: dict[str, bytes], *folders: Path) -> list[str]:
    return [
        f"{name} in {path}"
        for path in files_below(*folders)
        for content in (path.read_bytes(),)
        for name, part in wanted.items()
        if part in content
    ]


def archive(photo: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("pairs.csv", f"a,b\n{NAME},sample:3\n")
        made.writestr(NAME, photo)
    return buffer.getvalue()


@pytest.mark.slow
def test_of_a_session_with_photographs_nothing_is_left_on_any_disk(tmp_path, monkeypatch):
    data, scratch, home = tmp_path / "served", tmp_path / "scratch", tmp_path / "home"
    for folder in (data, scratch, home):
        folder.mkdir()
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(variable, str(scratch))
    monkeypatch.setenv("HOME", str(home))
    photo = marked_photo()
    wanted = traces(photo)
    (data / "control").write_bytes(photo)
    assert len(hits(wanted, data)) >= 2, "the search finds what is there"
    (data / "control").unlink()

    with serving(data, log_level="debug", keep="database") as server, server.client() as client:
        upload = (NAME, photo, "image/jpeg")
        found = client.post("/api/v1/faces", files={"image": upload}).raise_for_status().json()
        face = found["faces"][0]["id"]
        client.post("/api/v1/mix", files={"face_a": upload, "face_b": upload}).raise_for_status()
        parents = [{"image": base64.b64encode(photo).decode()}, {"sample": 3}]
        client.post("/api/v1/strip", json={"parents": parents, "steps": 3}).raise_for_status()
        client.post("/", files={"face_a": upload, "face_b": upload}, data={"consent": terms.VERSION}).raise_for_status()
        client.post("/api/v1/batches", files={"archive": ("a.zip", archive(photo))}).raise_for_status()
        client.post("/api/v1/explain", json={"parents": parents}).raise_for_status()
        client.post("/api/v1/verify", files={"file": upload}).raise_for_status()
        assert client.post("/api/v1/faces", files={"image": (NAME, MARKER * 9, "image/jpeg")}).status_code == 415
        assert client.post("/api/v1/faces", files={"image": (NAME, photo[:4000], "image/jpeg")}).status_code == 422
        saved = client.post("/api/v1/recipes", json={"parents": [{"face_id": face}, {"sample": 3}]})
        saved = saved.raise_for_status().json()
        kept = client.get(f"/api/v1/recipes/{saved['id']}").json()["recipe"]["parents"][0]["z"]
        latent = {"latent": kept[40:120].encode()}
        assert hits(latent, data), "a link holds latents until it is deleted"

        assert client.delete(f"/api/v1/faces/{face}").headers["x-facemix-receipt"]
        token = {"X-Facemix-Delete-Token": saved["delete_token"]}
        assert client.delete(f"/api/v1/recipes/{saved['id']}", headers=token).headers["x-facemix-receipt"]
        opened = [path.resolve() for path in Path(f"/proc/{server.process.pid}/fd").iterdir()]
        assert [path for path in opened if scratch in path.parents] == [], "no temporary file is open"
        assert hits(wanted, data, scratch, home) == []
        assert server.stop() == 0
    assert server.log.count("/api/v1/mix"), "the log was written, and searched"
    assert hits(wanted | latent, data, scratch, home) == []
