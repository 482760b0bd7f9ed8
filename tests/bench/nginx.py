"""nginx, the reference for files: it takes them by PUT over TLS, and gives them on a Unix socket behind Envoy."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.home import end_with_test

START_SECONDS_MAX = 10.0
# As it comes: one process, sendfile, no hashing, no fsync. A body goes to a file beside its place and is renamed.
CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
  access_log off;
  sendfile on;
  client_max_body_size 0;
  client_body_temp_path {directory}/incoming;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    root {directory}/files;
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
  server {{
    listen unix:{get_socket};
    root {directory}/files;
    location = /healthz {{ return 200; }}
    location / {{ try_files /download =404; }}
  }}
}}
"""


def installed() -> bool:
    """Whether there is an nginx with what the reference needs."""
    return shutil.which("nginx") is not None


@contextmanager
def running(directory: Path, *, port: int, certificate: Path, key: Path, get_socket: Path) -> Iterator[Path]:
    """An nginx that takes files on the port and gives one on the socket; the directory in which files lie."""
    files = directory / "files"
    for folder in (files, directory / "incoming"):
        folder.mkdir(parents=True)
    configuration = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        CONFIGURATION.format(
            user=user, directory=directory, port=port, certificate=certificate, key=key, get_socket=get_socket
        )
    )
    command = ["nginx", "-c", str(configuration), "-p", str(directory)]
    with subprocess.Popen(command, preexec_fn=end_with_test) as process:  # noqa: PLW1509 - it is one system call
        try:
            wait_until_listening(port, process)
            yield files
        finally:
            process.terminate()


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns when the port takes connections."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start")
