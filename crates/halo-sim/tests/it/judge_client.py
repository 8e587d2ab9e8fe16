"""haloitsm-python against the simulator: python judge_client.py URL CLIENT_ID CLIENT_SECRET. It sends no tenant, and `True` for true.

Ends with 1 and says why when the client does not find what it expects.
"""

import sys

from halo import HaloClient
from halo.exceptions import HaloAuthenticationError, HaloError, HaloRateLimitError, HaloResourceNotFound, HaloValidationError

url, client_id, client_secret = sys.argv[1:]


def expect(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, expected {wanted!r}")


def refused(kind, act, what):
    try:
        act()
    except kind as error:
        return error
    sys.exit(f"{what}: not refused")


halo = HaloClient(url, client_id=client_id, client_secret=client_secret, max_retries=0)

# It hands over what it is given, which has to be an array.
refused(HaloValidationError, lambda: halo.assets.create({"assettype_id": 130, "site_id": 18}), "a bare object")
made = halo.assets.create([{"assettype_id": 130, "site_id": 18, "inventory_number": "i-0", "fields": [{"id": 101, "value": "web-0"}]}])
expect((made.inventory_number, made.key_field, made.inactive), ("i-0", "web-0", False), "a new asset")
session = halo.session
many = session.post("/Asset", json=[{"assettype_id": 130, "site_id": 18, "inventory_number": f"i-{number}"} for number in range(1, 60)])
expect((type(many), len(many)), (list, 59), "several assets")

found = halo.assets.get(made.id, includedetails=True)
expect((found.status_name, found.client_name, found.fields[0]["value"]), ("Active", "Acme", "web-0"), "one asset")
expect(len(halo.assets.list(page_size=100)), 50, "a page, which is capped")
rows = [row for page in range(1, 4) for row in halo.assets.list(page_size=100, page_no=page, order="id")]
expect((len(rows), len({row.id for row in rows})), (60, 60), "all pages")
expect([row.inventory_number for row in halo.assets.search("web-0")], ["i-0"], "a search")
expect(len(halo.assets.list(asset_type_id=120)), 0, "another type")

session.post("/Asset", json=[{"id": made.id, "inactive": True}])
expect(halo.assets.search("web-0"), [], "what is inactive")
expect(found.get_changes()["changehistory"][0]["field_name"], "Inactive", "its audit trail")
made.delete()
refused(HaloResourceNotFound, lambda: halo.assets.get(made.id), "what is gone")

expect([client.name for client in halo.clients.list()], ["Unknown", "Acme"], "clients")
expect([user.emailaddress for user in halo.users.list()], ["uma@acme.example"], "users")
expect([row["name"] for row in session.get("/AssetType")], ["Server", "Laptop", "Cloud Instance"], "types")

wrong = HaloClient(url, client_id=client_id, client_secret="wrong", max_retries=0)
error = refused(HaloAuthenticationError, wrong.assets.list, "a wrong secret")
expect(str(error), "The specified client credentials are invalid.", "what it says of a wrong secret")


def hammer():
    for _ in range(400):
        session.get("/AssetGroup")


refused(HaloRateLimitError, hammer, "more calls than are let in")
refused(HaloError, halo.assets.list, "one more call")
