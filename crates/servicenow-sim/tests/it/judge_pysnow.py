"""What pysnow makes of the simulator: judge_pysnow.py HOST:PORT, without TLS. It exits with the first thing that is not as it should be."""

import os
import sys
import warnings

# oauthlib wants to be told that there is no TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
warnings.simplefilter("ignore")

import pysnow
import requests


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(error, action):
    try:
        action()
    except error:
        return
    raise SystemExit(f"{error.__name__} did not come")


def records(client):
    table = client.resource(api_path="/table/cmdb_ci_vm_instance")
    made = table.create(payload={"name": "web-1", "object_id": "i-1"}).one()
    expect((made["name"], made["install_status"], made["assigned_to"]), ("web-1", "1", ""))
    expect(table.get(query={"object_id": "i-1"}).one()["sys_id"], made["sys_id"])
    updated = table.update(query={"object_id": "i-1"}, payload={"name": "web-2", "install_status": "7"}).one()
    expect((updated["name"], updated["object_id"], updated["install_status"]), ("web-2", "i-1", "7"))

    for number in range(6):
        table.create(payload={"name": f"node-{number}", "object_id": f"n-{number}", "install_status": "1"})
    query = pysnow.QueryBuilder().field("name").starts_with("node-").AND().field("name").not_equals("node-3").AND().field("name").order_ascending()
    rows = table.get(query=query, limit=3, offset=1, fields=["name"]).all()
    expect([row["name"] for row in rows], ["node-1", "node-2", "node-4"])
    streamed = table.get(query="nameSTARTSWITHnode-^ORDERBYDESCname", stream=True, fields=["name"])
    expect([row["name"] for row in streamed.all()], [f"node-{number}" for number in (5, 4, 3, 2, 1, 0)])
    shown = table.get(query={"object_id": "i-1"}, display_value=True).one()
    expect(shown["install_status"], "Retired")

    for number in range(6):
        expect(table.delete(query={"object_id": f"n-{number}"})["status"], "record deleted")
    table.delete(query={"object_id": "i-1"})
    expect(table.get(query={"object_id": "i-1"}).one_or_none(), None)
    refused(pysnow.exceptions.NoResults, lambda: table.delete(query={"object_id": "i-1"}))
    nonsense = client.resource(api_path="/table/nonsense")
    refused(requests.exceptions.HTTPError, lambda: nonsense.get(query={}).all())


def references(client):
    group = client.resource(api_path="/table/sys_user_group").get(query={"name": "Cloud"}).one()["sys_id"]
    table = client.resource(api_path="/table/cmdb_ci_vm_instance")
    table.create(payload={"name": "web", "object_id": "i-2", "support_group": group})
    row = table.get(query={"object_id": "i-2"}).one()
    expect((row["support_group"]["value"], row["support_group"]["link"].endswith(group)), (group, True))
    plain = table.get(query={"object_id": "i-2"}, exclude_reference_link=True).one()
    expect(plain["support_group"], group)
    table.delete(query={"object_id": "i-2"})


def main(host):
    basic = pysnow.Client(host=host, user="integration", password="integration-password", use_ssl=False)
    oauth = pysnow.OAuthClient(client_id="client-id", client_secret="client-secret", host=host, use_ssl=False)
    oauth.set_token(oauth.generate_token("integration", "integration-password"))
    for client in (basic, oauth):
        records(client)
        references(client)
    refused(pysnow.exceptions.TokenCreateError, lambda: oauth.generate_token("integration", "wrong"))
    # A token that has ended is renewed by the refresh token.
    token = dict(oauth.token, expires_in=-1, expires_at=1)
    renewed = []
    oauth.token_updater = renewed.append
    oauth.set_token(token)
    records(oauth)
    expect(bool(renewed), True)


if __name__ == "__main__":
    main(*sys.argv[1:])
