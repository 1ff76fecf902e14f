"""Every fault of the suite, as a table: what is done, how often in full, and whether images may fail by it."""

from tests.torture.faults import broker, captions, clients, database, disk, dispatchers, everything, storage, workers
from tests.torture.faults.table import Fault

FAULTS: list[Fault] = [
    *workers.FAULTS,
    *dispatchers.FAULTS,
    *broker.FAULTS,
    *database.FAULTS,
    *storage.FAULTS,
    *captions.FAULTS,
    *disk.FAULTS,
    *clients.FAULTS,
]
EVERYTHING = everything.fault(FAULTS)
WRONG_CLOCKS = workers.WRONG_CLOCKS
