"""Keycloak's process: its configuration in the home, and Java in the place of the child."""

import os
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from verbund.embedded.children import execute
from verbund.embedded.home import Home
from verbund.embedded.keycloak.credentials import ADMINISTRATOR, Secrets, directory
from verbund.embedded.keycloak.program import Program
from verbund.embedded.keycloak.settings import HOST, KeycloakSettings
from verbund.files import replace

DATABASE = "keycloak"
PROBE_SECONDS_MAX = 5.0
PROBE_PAUSE_SECONDS = 0.3  # beside the supervisor's own: Java is starting on the same cores
READ_ONLY = ("bin", "lib", "providers", "themes")

# No key of this file is chosen at the build. `cache=local`: otherwise it looks for others of its kind in the network.
CONFIGURATION = """\
# Written by `verbund up` at every start.
db-url={database}
db-username=keycloak
db-password={secrets.database}
db-pool-initial-size=1
db-pool-max-size=20
cache=local
hostname={url}
http-enabled=false
http-host={host}
https-port={port}
https-certificate-file={tls}/provider.pem
https-certificate-key-file={tls}/provider.key
truststore-paths={tls}/ca.pem
bootstrap-admin-username={administrator}
bootstrap-admin-password={secrets.administrator}
log=console
log-console-output=json
# Its events name people who mistype a password.
log-level=info,org.keycloak.events:off
"""

# As bin/kc.sh starts it, which stays in between as a shell, and less eager: a trial runs on a laptop.
THREADS = "io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"
OPTIONS = (
    "-XX:MetaspaceSize=96M",
    "-XX:MaxMetaspaceSize=256m",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dstderr.encoding=UTF-8",
    "-Duser.language=en",
    "-Duser.country=US",
    "-Djava.security.egd=file:/dev/urandom",
    "-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    f"-Djava.util.concurrent.ForkJoinPool.common.threadFactory={THREADS}",
    "-Dpicocli.disable.closures=true",
    "-Dquarkus-log-max-startup-records=10000",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
)
MAIN = "io.quarkus.bootstrap.runner.QuarkusEntryPoint"


def run(home: Home, program: Program, settings: KeycloakSettings, secrets: Secrets) -> None:
    """Writes what Keycloak reads, and becomes it."""
    place = directory(home)
    lay_out(place, program)
    replace(place / "conf" / "keycloak.conf", configuration(home, settings, secrets).encode())
    os.chdir(place)
    execute(program.java, arguments(place, settings), environment(place))


def lay_out(place: Path, program: Program) -> None:
    """A directory that is Keycloak's to write into, with links to what all homes share."""
    for name in ("conf", "data", "tmp"):
        (place / name).mkdir(mode=0o700, exist_ok=True)
    for name in READ_ONLY:
        link = place / name
        link.unlink(missing_ok=True)
        link.symlink_to(program.directory / name)


def configuration(home: Home, settings: KeycloakSettings, secrets: Secrets) -> str:
    """keycloak.conf, 0600: so the passwords stand in no argument and in no environment."""
    return CONFIGURATION.format(
        database=f"jdbc:postgresql://{HOST}:{settings.database_port}/{DATABASE}",
        secrets=secrets,
        url=settings.url,
        host=HOST,
        port=settings.port,
        tls=home.tls,
        administrator=ADMINISTRATOR,
    )


def arguments(place: Path, settings: KeycloakSettings) -> list[str]:
    """What Java is started with."""
    return [
        "-Xms64m",
        f"-Xmx{settings.heap_mib_max}m",
        *OPTIONS,
        f"-Djava.io.tmpdir={place / 'tmp'}",
        f"-Dkc.home.dir={place}",
        f"-Djboss.server.config.dir={place / 'conf'}",
        "-cp",
        str(place / "lib" / "quarkus-run.jar"),
        MAIN,
        "start",
        "--optimized",
    ]


def environment(place: Path) -> dict[str, str]:
    """What Java is told of its surroundings: nothing of the mesh's."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(place)}


def answers(home: Home, settings: KeycloakSettings) -> bool:
    """Whether Keycloak has started: its first realm answers over TLS, asked as everybody asks."""
    trust = ssl.create_default_context(cafile=home.tls / "ca.pem")
    ask = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))
    try:
        with ask.open(f"{settings.issuer('master')}", timeout=PROBE_SECONDS_MAX) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        time.sleep(PROBE_PAUSE_SECONDS)
        return False
