"""Reviews, as someone else's service: Python's own server, which speaks HTTP/1.0.

FAILING_REPLICA names the replica (WEFT_REPLICA) that answers 503 to every question; ?outage does so on all of them.
"""
import json
import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REPLICA = os.environ.get("WEFT_REPLICA", "0")
IS_FAILING = REPLICA == os.environ.get("FAILING_REPLICA")
REVIEWS = [{"stars": 5, "text": "Holds the thread."}, {"stars": 4, "text": "Loud, but it lasts."}]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/ready":
            self.answer(200, {"ready": True})
        elif IS_FAILING or url.query == "outage":
            self.answer(503, {"replica": REPLICA, "error": "this replica is out of order"})
        elif url.path.startswith("/reviews/"):
            self.answer(200, {"replica": REPLICA, "reviews": REVIEWS})
        else:
            self.answer(404, {"error": "there is nothing at " + url.path})

    def answer(self, status, body):
        content = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code="-", size="-"):
        if self.path != "/ready":
            print(f"reviews {REPLICA}: {self.command} {self.path} {code} to {self.client_address[0]}", flush=True)


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = False  # what was asked is answered before the end


server = Server(("::", int(os.environ.get("PORT", "8080"))), Handler)
# shutdown() waits for the loop that this very thread runs, so another one calls it.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"reviews {REPLICA}: serves on port {server.server_port}", flush=True)
server.serve_forever()
server.server_close()
sys.exit(0)
