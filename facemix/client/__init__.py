"""A client of the endpoint: ``pip install facemix[client]``, then

    from facemix.client import Client, Sample

    with Client("http://127.0.0.1:8000") as client:
        client.mix(["anna.jpg", Sample(3)], weights=[0.7, 0.3], prompt="smiling").save("mix.png")

It needs neither torch nor the server's libraries (``docs/client.md``).
"""

from __future__ import annotations

from facemix.client.answers import (
    Attribute,
    Attributes,
    Explanation,
    Face,
    Grid,
    GridCell,
    Model,
    Note,
    Prompt,
    Region,
    Result,
    Saved,
    SavedRecipe,
    Word,
)
from facemix.client.api import Client
from facemix.client.jobs import Job, JobFailed
from facemix.client.parents import Edits, FaceId, Latent, Parent, Photo, RecipeId, Sample
from facemix.client.reviews import Review
from facemix.client.transport import ApiError, ResultHeld

__all__ = [
    "ApiError",
    "Attribute",
    "Attributes",
    "Client",
    "Edits",
    "Explanation",
    "Face",
    "FaceId",
    "Grid",
    "GridCell",
    "Job",
    "JobFailed",
    "Latent",
    "Model",
    "Note",
    "Parent",
    "Photo",
    "Prompt",
    "RecipeId",
    "Region",
    "Result",
    "ResultHeld",
    "Review",
    "Sample",
    "Saved",
    "SavedRecipe",
    "Word",
]
