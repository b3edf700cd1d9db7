"""What reading a zip file raises that is damaged, or made to do harm."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from typing import Final

__all__ = ["UNREADABLE_ZIP"]

UNREADABLE_ZIP: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    UnicodeDecodeError,
    NotImplementedError,
    EOFError,
    RuntimeError,  # an encrypted file
)
