"""Write places into a copy of the example: ``fill.py FOLDER``.

Every ``@WORD@`` in the folder's files becomes the value of the environment's variable ``WORD``. Where one is not set,
it is named, and no file is changed.
"""

import os
import re
import sys
from pathlib import Path

WORD = re.compile(r"@([A-Z_]+)@")


def main(folder: Path) -> int:
    """Fill in every file below a folder."""
    texts = {file: file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*")) if file.is_file()}
    if not texts:
        print(f"fill.py: there are no files in {folder}.", file=sys.stderr)
        return 2
    missing = {(word, file) for file, text in texts.items() for word in WORD.findall(text) if not os.environ.get(word)}
    for word, file in sorted(missing):
        print(f"fill.py: {file} asks for {word}, and no such variable is set.", file=sys.stderr)
    if missing:
        return 2
    for file, text in texts.items():
        filled = WORD.sub(lambda found: os.environ[found[1]], text)
        if filled != text:
            file.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
