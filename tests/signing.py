"""Signers, and photographs that others have signed."""

import json
from io import BytesIO

import c2pa
from marked_faces import faces

from facemix.imaging.encode import encode_image
from facemix.safety.certificates import open_certificates
from facemix.safety.credentials import Signer
from facemix.settings import Settings

CREATED = {
    "action": "c2pa.created",
    "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
}


def signer_in(folder) -> Signer:
    return Signer(open_certificates(Settings(data_dir=folder)))


def camera(folder, *, media_type="image/jpeg", parent=None, number=0, **assertions) -> bytes:
    """A photograph signed by somebody else, with a thumbnail of it inside, as cameras and editors do."""
    (certificate,) = open_certificates(Settings(data_dir=folder))
    told = c2pa.C2paSignerInfo(b"es256", certificate.chain.encode(), certificate.key.encode(), None)
    context = c2pa.Context.from_dict(
        {"version": 1, "builder": {"thumbnail": {"enabled": True}}}, c2pa.Signer.from_info(told)
    )
    action = CREATED if parent is None else {"action": "c2pa.opened", "parameters": {"ingredientIds": ["p"]}}
    manifest = {
        "claim_generator_info": [{"name": "Camera", "version": "1"}],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            *({"label": label.replace("_", "."), "data": data} for label, data in assertions.items()),
        ],
    }
    with c2pa.Builder(json.dumps(manifest), context=context) as builder:
        if parent is not None:
            ingredient = {"title": "before", "relationship": "parentOf", "label": "p"}
            builder.add_ingredient(ingredient, media_type, BytesIO(parent))
        signed = BytesIO()
        builder.sign(media_type, BytesIO(encode_image(faces(number + 1, 200)[number], media_type)), signed)
    return signed.getvalue()
