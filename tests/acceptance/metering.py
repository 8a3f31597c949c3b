"""Reading `/metrics`: the sum of a sample over its labels, or of those that have the given ones."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from loadtest.subject import Subject


def document(subject: Subject) -> str:
    """The instruments as Prometheus reads them."""
    answer = httpx.get(f"{subject.http}/metrics", timeout=10)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return answer.text


def value(text: str, name: str, **labels: str) -> float:
    """Of a counter, a gauge, or a histogram's ``_count`` or ``_sum``; 0 for one that has no sample yet."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())
