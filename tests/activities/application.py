"""A long-running application: it reads its release once, as it starts, and answers with it until it is restarted."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

VERSION = (Path(sys.argv[2]) / "version").read_bytes()
if VERSION == b"sick":
    sys.exit("this release cannot start")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(VERSION)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""
        del format, args


HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
