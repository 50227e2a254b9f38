"""Credentials of `s3://` paths: from the environment into a DuckDB secret, never from YAML."""

from __future__ import annotations

from transformer.names import literal, quoted
from transformer.sources import ReaderRequest


def secret(request: ReaderRequest, path: str) -> str:
    """The statement that gives DuckDB the credentials for the bucket of this path.

    The secret lasts as long as the connection and applies to this bucket only.
    """
    prefix = str(request.options.get("credentials") or "AWS")

    def env(*names: str) -> str | None:
        return next((v for n in names if (v := request.env.get(f"{prefix}_{n}"))), None)

    endpoint = request.options.get("endpoint") or env("ENDPOINT_URL_S3", "ENDPOINT_URL")
    options = {
        "key_id": env("ACCESS_KEY_ID"),
        "secret": env("SECRET_ACCESS_KEY"),
        "session_token": env("SESSION_TOKEN"),
        "region": request.options.get("region") or env("REGION", "DEFAULT_REGION") or "us-east-1",
        **_server(str(endpoint) if endpoint else ""),
        # With a trailing `/`: a scope is a prefix, and one bucket's name may be another's prefix.
        "scope": "/".join(path.split("/")[:3]) + "/",
    }
    listed = ", ".join(f"{name} {literal(value)}" for name, value in options.items() if value)
    name = quoted(f"__source_{request.table.source}_{request.table.name}")
    return f"create or replace temporary secret {name} (type s3, {listed})"


def _server(endpoint: str) -> dict[str, str]:
    """Options for a server other than Amazon's: its buckets are in the path, not in the host."""
    scheme, separator, host = endpoint.rpartition("://")
    if not host:
        return {}
    options = {"endpoint": host.rstrip("/"), "url_style": "path"}
    return options | ({"use_ssl": "false"} if separator and scheme == "http" else {})
