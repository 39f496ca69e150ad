"""Where reading goes on when partitions were assigned: at the offsets that the group committed, and nowhere else.

The Kafka client keeps its position in a partition that it is given again, also when the broker lost the log meanwhile
and another one grew past that position: what lies before it would never be read.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.structs import TopicPartition

COMMITTED_MS = 1000


class Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Hears of assignments in the client's thread; whoever polls asks for them in its own."""

    def __init__(self) -> None:
        self._new = threading.Event()

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing: what was not committed is delivered again, to whoever gets the partitions."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Positions from before this moment mean nothing any more."""
        self._new.set()

    @property
    def pending(self) -> bool:
        """Whether there was an assignment that is not settled yet: what is polled then may come from anywhere."""
        return self._new.is_set()

    def settle(self, consumer: KafkaConsumer) -> None:
        """Moves every partition to its committed offset, else to its beginning. KafkaError: settle again."""
        for partition in consumer.assignment():
            offset = consumer.committed(partition, timeout_ms=COMMITTED_MS)
            if offset is None:
                consumer.seek_to_beginning(partition)
            else:
                consumer.seek(partition, offset)
        self._new.clear()
