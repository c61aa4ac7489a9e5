"""The shapes of what is said about a file."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from facemix.web.schemas_examples import PHOTO_EXAMPLE


class SignatureBody(BaseModel):
    """What the file's content credentials (C2PA) say."""

    state: Literal["ours", "theirs", "changed"] = Field(
        description="signed by this installation and unchanged; signed by somebody else and unchanged; or changed since"
    )
    signer: str = Field(description="the name in the certificate; of somebody else's nothing confirms it")
    generator: str = Field(description="the program that wrote them, in its own words")
    source_type: str = Field(description="the IPTC's digital source type, empty where none is stated")
    model: str | None = Field(description="the model that made it; null unless the state is ours")


class MarkBody(BaseModel):
    """The invisible mark of this installation."""

    how: Literal["whole", "part", "mirrored", "cropped"] = Field(description="where in the picture it was found")
    chance: float = Field(description="the most that the probability is of as much in a picture without the mark")


class LedgerUses(BaseModel):
    """How often a recipe was asked for, and when."""

    rows: int
    first: datetime
    last: datetime


class VerifyResponse(BaseModel):
    """What a file is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "verdict": "marked",
                    "title": "Made here, to all appearance",
                    "sentences": ["It has no content credentials (C2PA)."],
                    "signature": None,
                    "mark": {"how": "whole", "chance": 3.1e-22},
                    "recipe_sha256": PHOTO_EXAMPLE,
                    "ledger": {
                        "rows": 1,
                        "first": "2026-11-21T11:00:00Z",
                        "last": "2026-11-21T11:00:00Z",
                    },
                },
                {
                    "verdict": "signed",
                    "title": "Made here, and unchanged",
                    "sentences": ["It was signed by this installation, and not a byte of it has changed since."],
                    "signature": {
                        "state": "ours",
                        "signer": "facemix installation 1f0c9a3b",
                        "generator": "facemix 0.1.0",
                        "source_type": "compositeWithTrainedAlgorithmicMedia",
                        "model": "facemix-128@3f0c1b7a9d2e",
                    },
                    "mark": None,
                    "recipe_sha256": PHOTO_EXAMPLE,
                    "ledger": None,
                },
            ]
        }
    )

    verdict: Literal["signed", "changed", "marked", "signed_elsewhere", "nothing"]
    title: str = Field(description="the verdict in words")
    sentences: list[str] = Field(description="what was found and how sure it is, in whole sentences")
    signature: SignatureBody | None = Field(description="null where the file has no content credentials")
    mark: MarkBody | None = Field(description="null where none was found")
    recipe_sha256: str | None = Field(description="hash of the recipe that signature or mark lead to")
    ledger: LedgerUses | None = Field(description="the ledger's rows with that recipe")
