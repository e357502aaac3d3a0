"""A program of its own, in which a text is searched: some patterns take years, and take them from this process.

It reads ``{"pattern": …, "text": …}`` and answers ``true`` or ``false``. It is run by its path, and imports nothing
of ours.
"""

import json
import re
import sys


def main() -> None:
    asked = json.load(sys.stdin)
    sys.stdout.write(json.dumps(re.search(asked["pattern"], asked["text"]) is not None))


if __name__ == "__main__":
    main()
