"""Recipes behind links: saved on request, without photographs, for as long as their maker says."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from facemix.errors import RecordMissing
from facemix.mixing.recipe import LatentParent, SampleParent
from facemix.settings import Settings
from facemix.web import openapi
from facemix.web.answers import json_answer
from facemix.web.consent import note_consent
from facemix.web.deletions import gone
from facemix.web.inputs import read_json
from facemix.web.inputs_json import given_edits, given_parents
from facemix.web.leaving import release_mix
from facemix.web.links import delete_page_of, page_of, picture_of
from facemix.web.mixes import frames_of_mix, mix_wanted
from facemix.web.reports import model_name
from facemix.web.saved import Saved
from facemix.web.schemas_kept import Lineage, SaveBody, SavedRecipeResponse, SavedResponse
from facemix.web.state import MixerLike, ServerState
from facemix.web.wanted import MixInput, has_photos, replay_input
from facemix.web.work import charge, do_work

router = APIRouter(default_response_class=Response, tags=["recipes"])


@router.post(
    "/api/v1/recipes",
    summary="Save a recipe behind a link",
    description="Draws the mix and stores its recipe in portable form (latents in the place of photographs) together "
    "with the result, the model's own picture, as it can be drawn again from the link: `detail`, `keep`, `size` and "
    "`placement` are taken out. Whoever has the link can see both; whoever has the delete token can delete them.",
    status_code=201,
    openapi_extra=openapi.json_body(SaveBody, photos=True),
    responses={
        201: openapi.ok("It is saved.", SavedResponse),
        **openapi.HELD,
        404: openapi.MISSING,
        409: openapi.OTHER_MODEL,
        507: openapi.NO_SPACE,
        **openapi.UPLOAD_ERRORS,
    },
)
async def save_recipe(request: Request) -> Response:
    state = ServerState.of(request)

    async def read() -> tuple[SaveBody, MixInput]:
        body = await read_json(request, SaveBody)
        wanted = await to_thread.run_sync(_wanted, body, state.settings)  # it decodes megabytes of base64
        note_consent(request, has_photos(wanted.parents))
        return body, wanted

    async def work(mixer: MixerLike, given: tuple[SaveBody, MixInput], deadline: float) -> Response:
        body, wanted = given
        result = await mix_wanted(request, mixer, wanted, deadline)
        charge(request, mixer, result.cost, result.stage_ms)
        await release_mix(request, mixer, result)
        picture = await mixer.write(state.release.picture, result.image, "image/png", result.recipe, result.parents)
        saved, expires_at = await state.stores.saved.save(result.recipe, picture, seconds=body.expires_in)
        return json_answer(
            SavedResponse(
                id=saved.id,
                url=page_of(request, saved.id),
                picture_url=picture_of(request, saved.id),
                delete_url=delete_page_of(request, saved),
                delete_token=saved.delete_token,
                expires_at=expires_at,
            ),
            {"Location": page_of(request, saved.id), "Cache-Control": "no-store"},
            status=201,
        )

    return await do_work(request, read, lambda given: frames_of_mix(given[1]), work)


def _wanted(body: SaveBody, settings: Settings) -> MixInput:
    """The mix as it can be drawn again from the link alone. By their detail, or around the face, photographs would lie
    in the picture; and its side would be theirs, of which latents know nothing, also on a plain ground."""
    if body.recipe is not None:
        return replay_input(body.recipe.as_decoded(), (), settings, "image/png", True)
    wanted = given_edits(body)
    wanted = replace(wanted, edits=wanted.edits.as_decoded())
    return MixInput(given_parents(body.parents or (), settings), wanted, portable=True)


@router.get(
    "/api/v1/recipes/{identity}",
    summary="A saved recipe",
    responses={200: openapi.ok("The recipe.", SavedRecipeResponse), **openapi.KEPT_ERRORS},
)
async def saved_recipe(request: Request, identity: str) -> Response:
    state = ServerState.of(request)
    saved = await state.stores.saved.get(identity)
    live = state.loaded
    return json_answer(
        SavedRecipeResponse(
            id=saved.id,
            recipe=saved.recipe,
            created_at=saved.created_at,
            expires_at=saved.expires_at,
            available=state.models.made_by(saved.recipe.model) is not None,
            live=None if live is None else model_name(live.model),
            parents=lineage(saved),
            picture_url=picture_of(request, saved.id),
        )
    )


def lineage(saved: Saved) -> list[Lineage]:
    """Where each parent of a saved recipe came from."""
    return [
        Lineage(
            kind="sample" if isinstance(parent, SampleParent) else "latent",
            weight=parent.weight,
            sample=parent.number if isinstance(parent, SampleParent) else None,
            origin=parent.origin if isinstance(parent, LatentParent) else None,
        )
        for parent in saved.recipe.parents
    ]


@router.get(
    "/api/v1/recipes/{identity}/picture",
    summary="The result of a saved recipe, as it was saved",
    responses={
        200: {"description": "The picture.", "content": {"image/png": openapi.BINARY}},
        **openapi.KEPT_ERRORS,
    },
)
async def saved_picture(request: Request, identity: str) -> Response:
    content = await ServerState.of(request).stores.saved.picture(identity)
    # Deleted means gone: no copy may outlive it unasked.
    return Response(content, media_type="image/png", headers={"Cache-Control": "no-store"})


@router.delete(
    "/api/v1/recipes/{identity}",
    summary="Delete a saved recipe and its picture",
    status_code=204,
    responses={204: {"description": "Both are gone."}, **openapi.KEPT_ERRORS},
)
async def delete_recipe(
    request: Request,
    identity: str,
    x_facemix_delete_token: Annotated[str | None, Header(max_length=200, description="from when it was saved")] = None,
) -> Response:
    if not x_facemix_delete_token:
        raise RecordMissing(
            "no delete token was sent", hint="send the header X-Facemix-Delete-Token with what came back on saving"
        )
    await ServerState.of(request).stores.saved.delete(identity, x_facemix_delete_token)
    return gone(request, "recipe", identity)
