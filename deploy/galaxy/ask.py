"""Ask a server for something: ``ask.py METHOD URL [FILE_WITH_KEY]``; exits 0 if it says yes.

A bare Debian has no curl, and Python is there anyway.
"""

import sys
import urllib.request
from pathlib import Path

request = urllib.request.Request(sys.argv[2], method=sys.argv[1])
if len(sys.argv) > 3:
    request.add_header("x-api-key", Path(sys.argv[3]).read_text().strip())
try:
    urllib.request.urlopen(request, timeout=60).read()
except OSError:
    sys.exit(1)
