"""The simulator's answers against the schemas that its own description publishes: python judge_schema.py URL CLIENT_ID CLIENT_SECRET.

That the description has the vendor's names and types is judged elsewhere; here a validator of OpenAPI judges whether it is one, and whether answers fit.
"""

import sys

import requests
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import OpenAPIV30SpecValidator

url, client_id, client_secret = sys.argv[1:]
session = requests.Session()
form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret, "scope": "all"}
token = session.post(f"{url}/auth/token?tenant=acme", data=form).json()["access_token"]
session.headers["Authorization"] = f"Bearer {token}"

description = session.get(f"{url}/api/swagger").json()
OpenAPIV30SpecValidator(description).validate()
seen = 0


def validator_of(schema):
    return OAS30Validator({"$ref": f"#/components/schemas/{schema}", "components": description["components"]})


for bad in ({"colr": "red"}, {"id": "one"}, {"fields": [{"vlaue": 1}]}, {"inactive": 0}):
    if not list(validator_of("Device").iter_errors(bad)):
        sys.exit(f"nothing is wrong with {bad}: no judge at all")


def judge(schema, rows, what):
    global seen
    validator = validator_of(schema)
    for row in rows:
        seen += 1
        for error in validator.iter_errors(row):
            sys.exit(f"{what}: {'.'.join(map(str, error.absolute_path))}: {error.message}")


def get(path, **parameters):
    answer = session.get(f"{url}/api/{path}", params=parameters)
    if answer.status_code != 200:
        sys.exit(f"{path}: {answer.status_code} {answer.text[:200]}")
    return answer.json()


def post(path, rows):
    answer = session.post(f"{url}/api/{path}", json=rows)
    if answer.status_code != 201:
        sys.exit(f"{path}: {answer.status_code} {answer.text[:200]}")
    body = answer.json()
    return body if isinstance(body, list) else [body]


fields = [{"id": 101, "value": "web"}, {"name": "Environment", "value": "Test"}]
custom = [{"id": 214, "value": "4711"}]
asset = {"assettype_id": 130, "site_id": 18, "fields": fields, "customfields": custom, "warranty_end": "2027-01-01", "technical_owner_id": 8}
made = post("Asset", [asset] * 3)
ids = [row["id"] for row in made]
judge("Device", made, "several assets that were posted")
links = {"id": ids[0], "add_child_assets": [{"id": ids[1], "relationship_id": 1}], "add_sibling_assets": [{"id": ids[2]}], "notes": "n"}
judge("Device", post("Asset", [links]), "an asset that was posted")
judge("Device", [get(f"Asset/{number}", includedetails=True, includeallowedstatus=True) for number in ids], "single assets")
listed = get("Asset", assettype_id=130, includeassetfields=True, includeallowedstatus=True, include_custom_fields="214")["assets"]
judge("Device_List", listed, "listed assets")
judge("DeviceChange", get("AssetChange", asset_id=ids[0])["changehistory"], "the audit trail")

judge("Xtype", get("AssetType") + [get("AssetType/130", includedetails=True)], "asset types")
rows = [{"name": "Security Group", "assetgroup_id": 112, "fields": [{"field_id": 148}], "allowall_status": False, "allowed_status": [{"status_id": 1}]}]
judge("Xtype", post("AssetType", rows), "an asset type that was posted")
judge("Generic", get("AssetGroup") + post("AssetGroup", [{"name": "Network"}]), "groups")
judge("Field", get("Field", kind="T") + [get("Field/150", kind="T", includedetails=True)], "fields")
judge("Field", post("Field", [{"name": "Zone", "kind": "T"}]), "a field that was posted")
judge("FieldInfo", get("FieldInfo", typeid=5), "custom fields")
judge("TStatus", get("Status") + get("Status", type="asset"), "statuses")
judge("Lookup", get("Lookup"), "lookups")
judge("Area", get("Client")["clients"] + [get("Client/12")], "clients")
judge("Site_List", get("Site")["sites"] + [get("Site/18")], "sites")
judge("Users_List", get("Users", includeinactive=True)["users"] + [get("Users/31")], "users")
judge("Uname_List", get("Agent", includedisabled=True) + [get("Agent/8")], "agents")
judge("SectionDetail_List", get("Team"), "teams")
if seen < 60:
    sys.exit(f"only {seen} rows were judged")
