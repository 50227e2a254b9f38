"""The keys of `s3://` paths: from the environment into a secret of DuckDB's, never into YAML."""

from __future__ import annotations

from transformer.names import literal, quoted
from transformer.sources import ReaderRequest


def secret(request: ReaderRequest, path: str) -> str:
    """The statement that gives DuckDB the keys for the bucket of this path.

    It lives as long as the connection, and counts for this bucket only.
    """
    prefix = str(request.options.get("credentials") or "AWS")

    def env(*names: str) -> str | None:
        return next((v for n in names if (v := request.env.get(f"{prefix}_{n}"))), None)

    endpoint = request.options.get("endpoint") or env("ENDPOINT_URL_S3", "ENDPOINT_URL")
    given = {
        "key_id": env("ACCESS_KEY_ID"),
        "secret": env("SECRET_ACCESS_KEY"),
        "session_token": env("SESSION_TOKEN"),
        "region": request.options.get("region") or env("REGION", "DEFAULT_REGION") or "us-east-1",
        **_server(str(endpoint) if endpoint else ""),
        # With the last `/`: a scope is the beginning of an address, and names may begin alike.
        "scope": "/".join(path.split("/")[:3]) + "/",
    }
    listed = ", ".join(f"{name} {literal(value)}" for name, value in given.items() if value)
    name = quoted(f"__source_{request.table.source}_{request.table.name}")
    return f"create or replace temporary secret {name} (type s3, {listed})"


def _server(endpoint: str) -> dict[str, str]:
    """A server that is not Amazon's: its buckets are folders, not names of hosts."""
    scheme, found, host = endpoint.rpartition("://")
    if not host:
        return {}
    made = {"endpoint": host.rstrip("/"), "url_style": "path"}
    return made | ({"use_ssl": "false"} if found and scheme == "http" else {})
