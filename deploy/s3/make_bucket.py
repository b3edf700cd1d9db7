"""Make buckets on an S3 server, as its owner, with the standard library alone.

usage: make_bucket.py URL CREDENTIALS BUCKET...    (a bucket that is there already is left as it is)
"""

from __future__ import annotations

import configparser
import datetime
import hashlib
import hmac
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

REGION = "us-east-1"


def signed(method: str, url: str, key_id: str, secret: str) -> urllib.request.Request:
    """Return a request without a body, signed by version 4 of Amazon's scheme."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    day, empty, parts = now[:8], hashlib.sha256(b"").hexdigest(), urlsplit(url)
    headers = {"host": parts.netloc, "x-amz-content-sha256": empty, "x-amz-date": now}
    names = ";".join(headers)
    lines = (method, quote(parts.path), parts.query, *(f"{n}:{v}" for n, v in headers.items()), "", names, empty)
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (day, REGION, "s3", "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    said = f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return urllib.request.Request(url, method=method, headers=headers | {"Authorization": said})


def main(url: str, credentials: str, *buckets: str) -> None:
    """Make the buckets."""
    keys = configparser.ConfigParser()
    keys.read_string(Path(credentials).read_text(encoding="utf-8"))
    owner = keys["default"]
    for bucket in buckets:
        request = signed("PUT", f"{url}/{bucket}", owner["aws_access_key_id"], owner["aws_secret_access_key"])
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            if error.code != 409:  # made before
                raise


main(*sys.argv[1:])
