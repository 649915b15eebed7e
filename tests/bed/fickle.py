"""Serves a folder over HTTP, and dies in the middle of its first answers.

fickle.py FOLDER PORT CUTS
"""

import http.server
import os
import re
import sys

folder, port, cuts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global cuts
        path = f"{folder}/{os.path.basename(self.path)}"
        if not os.path.isfile(path):
            self.send_error(404)
            return
        size = os.path.getsize(path)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked.group(1)) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(size - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        left = size - start
        if cuts > 0:
            cuts -= 1
            left //= 3
            print(f"cut: {os.path.basename(path)} from {start}", flush=True)
        with open(path, "rb") as file:
            file.seek(start)
            while left > 0 and (data := file.read(min(left, 1 << 20))):
                self.wfile.write(data)
                left -= len(data)
        print(f"sent: {os.path.basename(path)} from {start}", flush=True)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", port), Handler).serve_forever()
