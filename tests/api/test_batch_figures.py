"""The metrics of the batch half, as an operator's Prometheus reads them."""

import re

import httpx

from tests.api.serving import Api, Person, settled


def value(api: Api, name: str) -> float:
    text = httpx.get(f"{api.base}/metrics", timeout=20).text
    found = re.search(rf"^{re.escape(name)} ([\d.e+-]+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


def test_a_job_that_is_done_is_counted(api: Api, ann: Person) -> None:
    before = value(api, 'voxline_jobs_ended{how="completed"}')
    with api.client(ann) as http:
        job = http.post("/api/v1/tts/auto", data={"text": "Good morning.", "async_mode": "true"}).json()
        settled(http, f"/api/v1/job/{job['job_id']}")
    assert value(api, 'voxline_jobs_ended{how="completed"}') >= before + 1
    assert value(api, 'voxline_jobs{status="queued"}') >= 0
    assert value(api, "voxline_webhooks_pending") >= 0
