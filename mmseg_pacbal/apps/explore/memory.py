"""What the page keeps in memory, for all tabs together."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar('T')
OVERHEAD = 1000  # bytes of an entry besides its arrays


class BoundedCache(Generic[T]):
    """Values by key, up to a number of bytes; those that were not used for longest are dropped.

    Args:
        most_bytes: Sum of the attributes ``nbytes`` of all values, and ``OVERHEAD`` for each. A
            value that alone is larger is not kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> T | None:
        """The value of a key; None if there is none, or no longer."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: T) -> T:
        """Keep a value, and return it."""
        with self._lock:
            if key in self._values:
                self.bytes -= _bytes_of(self._values.pop(key))
            self._values[key] = value
            self.bytes += _bytes_of(value)
            while self.bytes > self.most_bytes:
                self.bytes -= _bytes_of(self._values.popitem(last=False)[1])
        return value


def _bytes_of(value: object) -> int:
    return OVERHEAD + getattr(value, 'nbytes', 0)
