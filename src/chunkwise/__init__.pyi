from collections.abc import Callable

from chunkwise.python import ChunkwiseError as ChunkwiseError
from chunkwise.python import Image as Image
from chunkwise.python import InputError as InputError
from chunkwise.python import PolicyError as PolicyError
from chunkwise.python import Result as Result
from chunkwise.python import ResumableError as ResumableError
from chunkwise.python import apply as apply
from chunkwise.python import list_operations as list_operations
from chunkwise.python import open as open

__version__: str

def __getattr__(name: str) -> Callable[..., Result]: ...
