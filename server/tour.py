"""What `make run` prints: lines to paste, with a token that works."""

from __future__ import annotations

import click


def tour(url: str, token: str, database_url: str, *, known: bool) -> str:
    """Give the text that shows how to call the service at `url` in four ways; what is to paste stands flush left."""
    kept = "Kept from before; nothing was lost." if known else "Made anew."
    host = url.split("://", 1)[1]
    return f"""
The Organization Service listens on {url}. Its database is {database_url}. {kept}
Stop it with Ctrl-C.

Open {url}/console in a browser. Sign in with any address: the code stands in this log a moment later.
Sign in as admin@example.com to be who the token below is.

The token below works for seven days. Paste into another terminal, in this directory:

export TOKEN={token}

# curl: plain JSON
curl -s {url}/gitpod.v1.OrganizationService/CreateOrganization -H "authorization: Bearer $TOKEN" \\
  -H 'content-type: application/json' -d '{{"name": "Acme", "joinOrganization": true}}'

# buf curl: the schema comes from the server, by reflection
.venv/bin/buf curl --http2-prior-knowledge -H "authorization: Bearer $TOKEN" -d '{{}}' \\
  {url}/gitpod.v1.AccountService/GetAccount

# grpcio, with the generated stubs
PYTHONPATH=gen/grpcio .venv/bin/python -c "
import grpc, os
from gitpod.v1 import account_pb2, account_pb2_grpc
with grpc.insecure_channel('{host}') as channel:
    accounts = account_pb2_grpc.AccountServiceStub(channel)
    metadata = [('authorization', 'Bearer ' + os.environ['TOKEN'])]
    print(accounts.GetAccount(account_pb2.GetAccountRequest(), metadata=metadata, timeout=5))"

# gitpod-sdk, in an environment of its own
python3 -m venv .cache/gitpod && .cache/gitpod/bin/pip install -q gitpod-sdk==0.11.0
GITPOD_BASE_URL={url} GITPOD_API_KEY=$TOKEN .cache/gitpod/bin/python -c "
from gitpod import Gitpod
print(Gitpod().organizations.create(name='Acme', join_organization=True))"

More: README.md, docs/, and .venv/bin/organization-service --help
"""


def print_tour(url: str, token: str, database_url: str, *, known: bool) -> None:
    """Print the tour on standard output."""
    click.echo(tour(url, token, database_url, known=known))
