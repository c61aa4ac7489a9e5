"""What the Python client does about a result that is held, against the application itself."""

import io

import httpx
import pytest
from PIL import Image
from releasing import releasing

from facemix.client import ApiError, Client, JobFailed, ResultHeld, Sample
from facemix.safety.guard import Match

PARENTS = [Sample(1), Sample(2)]


@pytest.fixture
def site(tmp_path):
    with releasing(tmp_path) as here:
        here.guard.found = Match("somebody", 0.2, 0)
        yield here


@pytest.fixture
def client(site):
    def answer(request):
        told = site.client.request(
            request.method, request.url.raw_path.decode(), content=request.read(), headers=request.headers
        )
        return httpx.Response(told.status_code, headers=told.headers, content=told.content)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        yield Client("http://facemix.test", http=http)


def decide(site, approve=True):
    reviews = site.governed.reviews
    (review,) = reviews.list()
    act, reason = (reviews.approve, "fine") if approve else (reviews.reject, "likeness")
    act(review.id, review.version, actor="ana", reason=reason)


def test_it_is_asked_for_later_and_fetched_once_it_is_approved(site, client):
    with pytest.raises(ResultHeld) as told:
        client.mix(PARENTS)
    assert told.value.retry_after == 60
    assert client.review(told.value.status_url).state == "pending"
    with pytest.raises(ApiError) as early:
        client.collect(told.value)
    assert early.value.status == 404
    decide(site)
    review = client.review(told.value)
    assert (review.state, review.ready, review.request_id) == ("approved", True, told.value.request_id)
    picture = client.collect(told.value)
    assert picture.media_type == "image/png"
    with Image.open(io.BytesIO(picture.data)) as opened:
        assert opened.size == (128, 128)
    assert client.mix(PARENTS).model == "fake-32@abababababab", "the same mix is not held again"


def test_a_rejection_is_appealed_against(site, client):
    with pytest.raises(ResultHeld) as told:
        client.mix(PARENTS)
    decide(site, approve=False)
    review = client.review(told.value)
    assert (review.state, review.may_appeal, review.ready) == ("rejected", True, False)
    assert review.reason
    assert client.appeal(told.value, "Both of them are me.").state == "appealed"


def test_a_job_that_is_held_says_where_to_ask(site, client):
    site.guard.match = lambda frames, *, path=False: Match("somebody", 0.2, 0) if path else None
    job = client.animate(PARENTS, seconds=0.5, fps=10, media_type="image/webp", size=128)
    with pytest.raises(JobFailed) as failed:
        job.wait(timeout=60, every=0.02)
    assert client.review(failed.value.held).state == "pending"
