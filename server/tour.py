"""What `make run` prints: lines to paste, with a token that works."""

from __future__ import annotations

import click

_SERVICE = "gitpod.v1.OrganizationService"


def print_tour(url: str, token: str, database_url: str, *, known: bool) -> None:
    """Print, on standard output, how to call the service at `url` in four ways."""
    kept = "Kept from before; nothing was lost." if known else "Made anew."
    host = url.split("://", 1)[1]
    click.echo(
        f"""
The Organization Service listens on {url}. Its database is {database_url}. {kept}
Stop it with Ctrl-C. A token that works for seven days, of admin@example.com:

  export TOKEN={token}

Paste into another terminal, in this directory:

  # curl: plain JSON
  curl -s {url}/{_SERVICE}/CreateOrganization -H "authorization: Bearer $TOKEN" \\
       -H 'content-type: application/json' -d '{{"name": "Acme", "joinOrganization": true}}'

  # buf curl: the schema comes from the server by reflection
  .venv/bin/buf curl --http2-prior-knowledge -H "authorization: Bearer $TOKEN" -d '{{}}' \\
       {url}/gitpod.v1.AccountService/GetAccount

  # grpcio, with the generated stubs
  PYTHONPATH=gen/grpcio .venv/bin/python -c "
  import grpc, os
  from gitpod.v1 import account_pb2, account_pb2_grpc
  with grpc.insecure_channel('{host}') as channel:
      account = account_pb2_grpc.AccountServiceStub(channel)
      who = [('authorization', 'Bearer ' + os.environ['TOKEN'])]
      print(account.GetAccount(account_pb2.GetAccountRequest(), metadata=who, timeout=5))"

  # gitpod-sdk: pip install gitpod-sdk==0.11.0, then
  GITPOD_BASE_URL={url} GITPOD_API_KEY=$TOKEN python -c "
  from gitpod import Gitpod
  print(Gitpod().organizations.create(name='Acme', join_organization=True))"

More: README.md, docs/, and `.venv/bin/organization-service --help`.
"""
    )
