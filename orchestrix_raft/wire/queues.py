"""queues.proto: queues, their limits, and changes of them."""

from orchestrix_raft.domain.queue import QueueChange, QueueOptions, RateLimitOptions
from orchestrix_raft.wire.v1 import queues_pb2 as pb

QueueMessage = pb.Queue
RateLimitMessage = pb.RateLimit
ListQueuesRequest = pb.ListQueuesRequest
ListQueuesResponse = pb.ListQueuesResponse
GetQueueRequest = pb.GetQueueRequest
GetQueueResponse = pb.GetQueueResponse
ConfigureQueueRequest = pb.ConfigureQueueRequest
ConfigureQueueResponse = pb.ConfigureQueueResponse
PurgeQueueRequest = pb.PurgeQueueRequest
PurgeQueueResponse = pb.PurgeQueueResponse


def queue_change(request: pb.ConfigureQueueRequest) -> QueueChange:
    """What was asked for; nothing is checked."""
    has = request.HasField
    return QueueChange(
        request.paused if has("paused") else None,
        _rate(request.rate) if has("rate") else None,
        request.concurrency if has("concurrency") else None,
        _rate(request.key_rate) if has("key_rate") else None,
        request.key_concurrency if has("key_concurrency") else None,
        tuple(request.clear),
    )


def _rate(message: pb.RateLimit) -> RateLimitOptions:
    return RateLimitOptions(message.count, message.window_ms)


def rate_message(rate: RateLimitOptions | None) -> pb.RateLimit | None:
    """The form for the wire."""
    return None if rate is None else pb.RateLimit(count=rate.count, window_ms=rate.window_ms)


def queue_message(
    name: str,
    options: QueueOptions,
    counts: tuple[int, int, int, int],
    held: int,
    rate_used: int,
    rate_opens_ms: int,
) -> pb.Queue:
    """A queue; `counts` are its scheduled, pending, dispatched and running jobs."""
    scheduled, pending, dispatched, running = counts
    return pb.Queue(
        name=name,
        paused=options.paused,
        rate=rate_message(options.rate),
        concurrency=options.concurrency,
        key_rate=rate_message(options.key_rate),
        key_concurrency=options.key_concurrency,
        scheduled=scheduled,
        pending=pending,
        dispatched=dispatched,
        running=running,
        held=held,
        rate_used=rate_used,
        rate_opens_ms=rate_opens_ms,
    )
