"""nginx on loopback that answers every chat completion with the same static body; counts requests in its access log."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

REPLY = {
    "id": "chatcmpl-stub",
    "object": "chat.completion",
    "created": 1,
    "model": "stub",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14},
}


class Stub:
    """A running nginx; `address` is host:port. Stops when the context ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.log = folder / "access.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stub:
        nginx = shutil.which("nginx")
        if nginx is None:
            raise SystemExit("the bench needs nginx (Debian: nginx-light)")
        body = json.dumps(REPLY).replace("'", "")
        conf = self.folder / "nginx.conf"
        conf.write_text(
            f"""worker_processes 1; daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  keepalive_requests 10000000; keepalive_timeout 600s; client_max_body_size 64m;
  log_format t '$msec'; access_log {self.log} t buffer=64k flush=200ms;
  server {{ listen 127.0.0.1:{self.port} backlog=4096;
    location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
"""
        )
        self._process = subprocess.Popen([nginx, "-c", str(conf), "-p", str(self.folder)])
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 0.2):
                    return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit("nginx did not start")

    def requests(self) -> list[float]:
        """When each request was answered (Unix seconds), and the log is emptied."""
        time.sleep(0.5)
        times = [float(x) for x in self.log.read_text().split()] if self.log.exists() else []
        self.log.write_text("")
        return times

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
