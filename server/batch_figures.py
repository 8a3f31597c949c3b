"""What the batch half tells the metrics: jobs by status, jobs done here, webhooks still to be delivered."""

from prometheus_client import CollectorRegistry, Gauge

from server.workshop import Workshop


class BatchFigures:
    """Gauges in ``registry``, brought up to date whenever somebody looks (``/metrics``)."""

    def __init__(self, shop: Workshop, registry: CollectorRegistry) -> None:
        self._shop = shop
        self._jobs = Gauge("voxline_jobs", "Unfinished jobs of the store.", ["status"], registry=registry)
        self._ended = Gauge("voxline_jobs_ended", "Jobs this process ended.", ["how"], registry=registry)
        self._webhooks = Gauge("voxline_webhooks_pending", "Webhooks of the store to be delivered.", registry=registry)

    async def update(self) -> None:
        """Look at the store. Raises VoiceError when it does not answer."""
        for status, number in (await self._shop.queue.counts()).items():
            self._jobs.labels(status.value).set(number)
        self._webhooks.set(await self._shop.outbox.pending())
        if self._shop.worker is not None:
            self._ended.labels("completed").set(self._shop.worker.done)
            self._ended.labels("failed").set(self._shop.worker.failed)
