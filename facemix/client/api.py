"""The client: a method for each thing that the endpoint does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import httpx

from facemix.client.answers import (
    Attribute,
    Attributes,
    Explanation,
    Face,
    Grid,
    GridCell,
    Model,
    Picture,
    Prompt,
    Region,
    Result,
    Saved,
    SavedRecipe,
    Word,
    moment,
    notes_of,
    picked,
)
from facemix.client.jobs import Job
from facemix.client.parents import (
    Edits,
    FaceEdits,
    FaceId,
    FilmEdits,
    Parent,
    Points,
    parent_bodies,
    placed_body,
    read,
)
from facemix.client.reviews import Review, path_of
from facemix.client.transport import ResultHeld, Transport

ImageType = Literal["image/png", "image/webp", "image/jpeg"]
_V1 = "/api/v1"


class Client:
    """A server's endpoint. Not for several threads at once, unless `http` is.

    Every method raises `ApiError` where the server refuses, `ResultHeld`, which is one, where a person looks at the
    result first, `httpx.TransportError` where it cannot be reached, and
    OSError for a photograph that cannot be read. What may be sent again is, when the server is busy.

    Args:
        url: of the server.
        key: an API key; none is needed.
        consent: the version of the server's terms (page /terms) to which you agree: everybody in the photographs that
            you send is of age and agrees, too. A server may require it.
        timeout: seconds without a sign of the server after which a request is given up.
        retries: how often a request is sent again.
        http: an `httpx.Client` to use, which is not closed.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        consent: str | None = None,
        timeout: float = 60,
        retries: int = 3,
        http: httpx.Client | None = None,
    ) -> None:
        self._transport = Transport(url, key, timeout, retries, http, consent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # --- faces ---------------------------------------------------------------------------------------------

    def faces(self, photo: str | Path | bytes, placed: Points | None = None) -> list[Face]:
        """Finds the faces of a photograph, largest first, and keeps them for a while to be mixed by `Face.parent`."""
        points = {} if placed is None else placed_body(placed)
        fields = {name: f"{x:.6f},{y:.6f}" for name, (x, y) in points.items()}
        answer = self._transport.json(
            "POST", f"{_V1}/faces", files={"image": ("photo", read(photo))}, data=fields, creates=True
        )
        return [
            picked(
                Face,
                one,
                expires_at=moment(one["expires_at"]),
                warnings=notes_of(one, "warnings"),
                crop=Picture.embedded(one["crop"]),
            )
            for one in answer["faces"]
        ]

    def delete_face(self, face: Face | FaceId) -> None:
        """Forgets a face at once."""
        identity = face.parent.id if isinstance(face, Face) else face.id
        self._transport.send("DELETE", f"{_V1}/faces/{identity}")

    def sample(self, number: int, *, seed: int = 0, media_type: ImageType = "image/png") -> Picture:
        """A face of nobody."""
        wanted = {"seed": seed, "format": media_type.removeprefix("image/")}
        answer = self._transport.send("GET", f"{_V1}/samples/{number}", params=wanted)
        return Picture(answer.content, media_type)

    # --- pictures ------------------------------------------------------------------------------------------

    def mix(
        self,
        parents: Sequence[Parent],
        *,
        weights: Sequence[float] | None = None,
        image_format: ImageType = "image/png",
        portable: bool = False,
        **edits: Unpack[Edits],
    ) -> Result:
        """Mixes one face or more.

        Args:
            weights: one for each parent; None for equal shares.
            portable: put latents in the place of photographs in the result's recipe.
        """
        body = {"parents": parent_bodies(parents, weights), **_plain(edits)}
        answer = self._transport.json(
            "POST", f"{_V1}/mix", json=body | {"image_format": image_format, "portable": portable}
        )
        return _result(answer)

    def replay(
        self,
        recipe: Mapping[str, Any] | str,
        photos: Sequence[str | Path | bytes] = (),
        *,
        image_format: ImageType = "image/png",
        portable: bool = False,
    ) -> Result:
        """Draws a recipe again: one as it stands, with its photographs in any order, or a saved one by its id."""
        if not photos:
            told = recipe if isinstance(recipe, str) else dict(recipe)
            body = {"recipe": told, "image_format": image_format, "portable": portable}
            return _result(self._transport.json("POST", f"{_V1}/mix", json=body))
        fields = {
            "recipe": recipe if isinstance(recipe, str) else json.dumps(recipe),
            "image_format": image_format,
            "portable": str(portable).lower(),
        }
        files = {f"photo_{place}": ("photo", read(photo)) for place, photo in enumerate(photos)}
        return _result(self._transport.json("POST", f"{_V1}/mix", data=fields, files=files))

    def explain(
        self,
        parents: Sequence[Parent],
        *,
        weights: Sequence[float] | None = None,
        image_format: ImageType = "image/png",
        portable: bool = False,
        **edits: Unpack[FaceEdits],
    ) -> Explanation:
        """Why a mix looks as it does; of one parent, what is to be said of that face. Takes what `mix` takes."""
        body = {"parents": parent_bodies(parents, weights), **_plain(edits)}
        return Explanation.of(
            self._transport.json(
                "POST", f"{_V1}/explain", json=body | {"image_format": image_format, "portable": portable}
            )
        )

    def record(self, request_id: str) -> dict[str, Any]:
        """What the result of an earlier request was made under, for whoever sent it."""
        return self._transport.json("GET", f"{_V1}/records/{request_id}")["record"]

    def grid(
        self,
        kind: Literal["weights", "pairs", "corners", "variations"],
        parents: Sequence[Parent],
        *,
        weights: Sequence[float] | None = None,
        rows: int | None = None,
        columns: int | None = None,
        radius: float | None = None,
        first: int | None = None,
        image_format: ImageType = "image/png",
        portable: bool = False,
        **edits: Unpack[FaceEdits],
    ) -> Grid:
        """A grid of mixes, with a recipe for each."""
        layout = {"rows": rows, "columns": columns, "radius": radius, "first": first}
        body = {"kind": kind, "parents": parent_bodies(parents, weights), **layout, **_plain(edits)}
        answer = self._transport.json(
            "POST", f"{_V1}/grids", json=body | {"image_format": image_format, "portable": portable}
        )
        sheet = Picture.embedded(answer["sheet"])
        return picked(
            Grid,
            answer,
            data=sheet.data,
            media_type=sheet.media_type,
            side=answer["sheet"]["frame_width"],
            row_labels=tuple(answer["row_labels"]),
            column_labels=tuple(answer["column_labels"]),
            cells=tuple(picked(GridCell, cell, weights=tuple(cell["weights"])) for cell in answer["cells"]),
            notes=notes_of(answer),
        )

    def animate(
        self,
        parents: Sequence[Parent],
        *,
        stops: Sequence[Mapping[str, Any]] | None = None,
        seconds: float = 3.0,
        fps: float = 20.0,
        easing: Literal["linear", "ease", "ease-in", "ease-out"] = "ease",
        loop: Literal["once", "loop", "ping-pong"] = "once",
        media_type: Literal["image/gif", "image/webp", "video/mp4"] = "image/gif",
        size: int = 256,
        **edits: Unpack[FilmEdits],
    ) -> Job:
        """Starts a film.

        Args:
            stops: each with `weights`, one for each parent, and perhaps `attributes`; None goes from parent to parent.
        """
        film = {"seconds": seconds, "fps": fps, "easing": easing, "loop": loop, "media_type": media_type, "size": size}
        body = {"parents": parent_bodies(parents, None), "stops": stops and [dict(stop) for stop in stops], **film}
        answer = self._transport.json("POST", f"{_V1}/animations", json=body | _plain(edits), creates=True)
        return Job(self._transport, answer["job"], tuple(answer["recipes"]))

    def batch(self, items: Sequence[Mapping[str, Any]] | str | Path | bytes, **form: str | bool) -> Job:
        """Starts a batch, whose result is a ZIP archive with a manifest.

        Args:
            items: a ZIP archive with pairs.csv and photographs, as a path or bytes; or a list of what `mix` takes, as
                ``{"parents": [...], "weights": [...], "name": "first", "prompt": "older"}``.
            form: with an archive, `image_format` and `portable`.
        """
        if isinstance(items, str | Path | bytes):
            told = {name: str(value).lower() for name, value in form.items()}
            files = {"archive": ("batch.zip", read(items))}
            answer = self._transport.json("POST", f"{_V1}/batches", files=files, data=told, creates=True)
        else:
            if form:
                raise TypeError("image_format and portable belong to each item of a list")
            bodies = []
            for item in items:
                rest = {name: value for name, value in item.items() if name not in ("parents", "weights")}
                bodies.append({"parents": parent_bodies(item["parents"], item.get("weights")), **_plain(rest)})
            answer = self._transport.json("POST", f"{_V1}/batches", json={"items": bodies}, creates=True)
        return Job(self._transport, answer["job"])

    def job(self, identity: str) -> Job:
        """A job that was started before."""
        return Job(self._transport, self._transport.json("GET", f"{_V1}/jobs/{identity}"))

    # --- what waits for a person ---------------------------------------------------------------------------

    def review(self, told: ResultHeld | str) -> Review:
        """How a result stands that is held, or a report.

        Args:
            told: what was raised, its `status_url` or `token`, `JobFailed.held`, or the hint of a batch's item. The
                client's own server is asked, whatever address stands there, so a key goes nowhere else.

        Raises:
            ValueError: it names no review.
        """
        return Review.of(self._transport.json("GET", path_of(told)))

    def collect(self, told: ResultHeld | str) -> Picture:
        """The result that was held, once `Review.ready`: the file as it would have been given out at once, and for ten
        minutes after it was first fetched. `ApiError`, 404, before and after. Arguments as `review`."""
        answer = self._transport.send("GET", f"{path_of(told)}/picture")
        return Picture(answer.content, answer.headers["content-type"])

    def appeal(self, told: ResultHeld | str, text: str) -> Review:
        """Asks for a second look at a rejection, once. Arguments as `review`; text: why it is all right."""
        return Review.of(self._transport.json("POST", f"{path_of(told)}/appeal", json={"text": text}))

    # --- what there is -------------------------------------------------------------------------------------

    def attributes(self) -> Attributes:
        """What can be moved, and the words for it."""
        answer = self._transport.json("GET", f"{_V1}/attributes")
        return Attributes(
            answer["model"]["id"],
            tuple(picked(Attribute, one) for one in answer["attributes"]),
            tuple(picked(Word, one) for one in answer["words"]),
        )

    def prompt(self, prompt: str, negative_prompt: str = "") -> Prompt:
        """What words do; nothing is drawn."""
        body = {"prompt": prompt, "negative_prompt": negative_prompt}
        answer = self._transport.json("POST", f"{_V1}/prompts", json=body)
        unknown = tuple(one["text"] for one in answer["unknown"])
        return Prompt(answer["attributes"], unknown, notes_of(answer))

    def regions(self) -> list[Region]:
        """The regions of a face, with their masks."""
        answer = self._transport.json("GET", f"{_V1}/regions")
        return [picked(Region, one, mask=Picture.embedded(one["mask"])) for one in answer["regions"]]

    def models(self) -> list[Model]:
        """The models that there are; one is live."""
        return [
            picked(Model, one, id=one["model"]["id"], limitations=tuple(one["limitations"]))
            for one in self._pages(f"{_V1}/models")
        ]

    # --- recipes behind links ------------------------------------------------------------------------------

    def save_recipe(
        self,
        recipe: Mapping[str, Any] | None = None,
        *,
        parents: Sequence[Parent] | None = None,
        weights: Sequence[float] | None = None,
        expires_in: float | None = None,
        **edits: Unpack[Edits],
    ) -> Saved:
        """Saves a recipe without photographs, or a mix of parents, behind a link that anybody can open who has it.

        Args:
            expires_in: seconds; None for as long as the server allows.
        """
        body: dict[str, Any] = {"expires_in": expires_in, **_plain(edits)}
        if recipe is not None:
            body["recipe"] = dict(recipe)
        if parents is not None:
            body["parents"] = parent_bodies(parents, weights)
        answer = self._transport.json("POST", f"{_V1}/recipes", json=body, creates=True)
        return picked(Saved, answer, expires_at=moment(answer["expires_at"]))

    def recipe(self, identity: str) -> SavedRecipe:
        """A saved recipe."""
        answer = self._transport.json("GET", f"{_V1}/recipes/{identity}")
        times = {name: moment(answer[name]) for name in ("created_at", "expires_at")}
        return picked(SavedRecipe, answer, **times)

    def recipe_picture(self, identity: str) -> Picture:
        """The result of a saved recipe, as it was saved."""
        return Picture(self._transport.send("GET", f"{_V1}/recipes/{identity}/picture").content, "image/png")

    def delete_recipe(self, identity: str, delete_token: str) -> None:
        """Deletes a saved recipe and its picture."""
        headers = {"X-Facemix-Delete-Token": delete_token}
        self._transport.send("DELETE", f"{_V1}/recipes/{identity}", headers=headers)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            answer = self._transport.json("GET", path, params={} if cursor is None else {"cursor": cursor})
            yield from answer["items"]
            cursor = answer["next"]
            if cursor is None:
                return


def _plain(edits: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings and sequences of any kind as JSON has them."""
    return {name: _jsonable(value) for name, value in edits.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _jsonable(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_jsonable(one) for one in value]
    return value


def _result(answer: Mapping[str, Any]) -> Result:
    picture = Picture.embedded(answer["image"])
    return picked(
        Result,
        answer,
        data=picture.data,
        media_type=picture.media_type,
        notes=notes_of(answer),
        faces=tuple(answer["faces"]),
        model=answer["model"]["id"],
    )
