"""What atlassian-python-api makes of the simulator: judge_atlassian.py cloud|data-center URL. It exits with the first thing that is not as it should be.

The site has an empty schema CLOUD; on Cloud also an import source with the token import-token-1.
"""

import sys
import urllib.parse

import requests
from atlassian.assets import AssetsCloud, AssetsServer
from atlassian.jira import Jira


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(status, action):
    try:
        action()
    except requests.exceptions.HTTPError as error:
        expect(error.response.status_code, status)
        return error.response.json()
    raise SystemExit(f"{status} did not come")


def client(kind, url, user):
    if kind == "data-center":
        return AssetsServer(url=url, token=f"{user}-token")
    assets = AssetsCloud(url=url, username=f"{user}@example.com", password=f"{user}-token", cloud=True)
    # It asks the site for the workspace, and all else from an address that is written into it.
    expect(assets.url, "https://api.atlassian.com")
    assets.url = url
    # Two of its paths would have two slashes in them.
    assets.api_root = assets.api_root.rstrip("/")
    return assets


def attribute(identifier, *values):
    return {"objectTypeAttributeId": identifier, "objectAttributeValues": [{"value": value} for value in values]}


def schema_of(assets, admin, kind):
    """Schema, types and attributes as a connector makes them; gives the attributes of the machines by name, and the two types."""
    schemas = assets.list_object_schema()
    schemas = schemas["values"] if kind == "cloud" else schemas["objectschemas"]
    schema = next(schema["id"] for schema in schemas if schema["objectSchemaKey"] == "CLOUD")
    expect(assets.get_object_schema(schema)["name"], "CLOUD")
    made = admin.create_status_type({"name": "Retired", "category": 0, "objectSchemaId": schema})
    expect(assets.get_status_type(made["id"])["name"], "Retired")
    icon = assets.get_all_global_icons()[0]["id"]
    expect(assets.get_icon_by_id(icon)["id"], icon)
    kinds = {}
    for name in ("Group", "Machine"):
        kinds[name] = assets.create_object_type({"name": name, "objectSchemaId": schema, "iconId": icon, "description": ""})["id"]
    refused(400, lambda: assets.create_object_type({"name": "Group", "objectSchemaId": schema, "iconId": icon}))
    machine = kinds["Machine"]
    for body in (
        {"name": "Provider ID", "type": 0, "defaultTypeId": 0, "uniqueAttribute": True},
        {"name": "Groups", "type": 1, "typeValue": str(kinds["Group"]), "additionalValue": "1", "maximumCardinality": -1},
        {"name": "Lifecycle", "type": 7},
        {"name": "Spare", "type": 0, "defaultTypeId": 9},
    ):
        assets.create_object_type_attribute(machine, body)
    known = {one["name"]: one["id"] for one in assets.get_object_type_attributes(machine)}
    expect(sorted(known), ["Created", "Groups", "Key", "Lifecycle", "Name", "Provider ID", "Spare", "Updated"])
    assets.delete_object_type_attribute(known.pop("Spare"))
    every = {one["id"] for one in assets.get_object_schema_attributes(schema)}
    expect(set(known.values()) <= every and len(every) == 11, True)
    flat = assets.get_object_schema_object_types_flat(schema, includeObjectCounts=True)
    expect([(one["name"], one["objectCount"]) for one in flat], [("Group", 0), ("Machine", 0)])
    expect(assets.update_object_type(machine, {"description": "of clouds"})["description"], "of clouds")
    expect(assets.get_object_type(machine)["description"], "of clouds")
    return known, kinds, made["id"]


def objects(assets, known, kinds, retired):
    name = next(one["id"] for one in assets.get_object_type_attributes(kinds["Group"]) if one["name"] == "Name")
    group = assets.create_object(kinds["Group"], [attribute(name, "web")])
    sent = [attribute(known["Name"], "web-1"), attribute(known["Provider ID"], "i-1"), attribute(known["Groups"], group["objectKey"])]
    made = assets.create_object(kinds["Machine"], sent)
    expect("attributes" in made, False)
    told = refused(400, lambda: assets.create_object(kinds["Machine"], sent))
    expect(f"rlabs-insight-attribute-{known['Provider ID']}" in told["errors"], True)

    changed = assets.update_object(made["id"], kinds["Machine"], [attribute(known["Lifecycle"], str(retired))])
    values = {one["objectTypeAttributeId"]: one["objectAttributeValues"] for one in changed["attributes"]}
    expect(values[known["Lifecycle"]][0]["status"]["name"], "Retired")
    expect(assets.get_object_attribute_value(made["id"], known["Provider ID"]), "i-1")
    expect(assets.get_object_attribute_value(made["id"], known["Groups"], "none"), None)
    expect(len(assets.get_object_attributes(made["id"])), 7)
    expect(assets.get_object(made["id"])["label"], "web-1")
    history = assets.get_object_history(made["id"], asc=True)
    expect([one.get("affectedAttribute") for one in history], [None, "Lifecycle"])
    expect(assets.get_object_reference_info(group["id"])[0]["numberOfReferencedObjects"], 1)
    expect(assets.get_object_connected_tickets(made["id"])["tickets"], [])
    return group, made


def searches_on_cloud(assets):
    query = 'objectType = Machine AND "Provider ID" IN ("i-1", "i-2") ORDER BY Key'
    page = assets.aql(query, max_results=500)
    expect([one["label"] for one in page["values"]], ["web-1"])
    expect({one["name"] for one in page["objectTypeAttributes"]} >= {"Provider ID", "Groups"}, True)
    expect("attributes" in assets.aql(query, include_attributes=False)["values"][0], False)
    expect(assets.get_object_aql_total_count('Groups.Name = "web"'), {"totalCount": 1})
    refused(400, lambda: assets.aql('objectType = "Machine'))
    refused(410, lambda: assets.get_aql_objects(query))
    expect(assets.get_usage()["totalObjectsCount"], 2)


def searches_on_data_center(assets, kinds):
    query = 'objectType = Machine AND "Provider ID" IN ("i-1", "i-2") ORDER BY Key'
    page = assets.get_aql_objects(query, page=1, result_per_page=10, include_attributes=True)
    expect(([one["label"] for one in page["objectEntries"]], page["totalFilterCount"], page["pageSize"]), (["web-1"], 1, 1))
    body = {"qlQuery": 'Name = "web-1"', "objectTypeId": kinds["Machine"], "page": 1, "resultsPerPage": 5}
    expect(assets.search_objects_aql_navigation(body)["totalFilterCount"], 1)
    refused(400, lambda: assets.get_aql_objects('objectType = "Machine'))


def imports(url):
    """The workflow of an external import, by its links."""
    session = requests.Session()
    session.headers["Authorization"] = "Bearer import-token-1"

    def send(method, link, body=None):
        answer = session.request(method, link, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    links = send("GET", f"{url}/jsm/assets/v1/imports/info")["links"]
    expect(send("GET", links["getStatus"]), {"status": "MISSING_MAPPING"})
    source = urllib.parse.urlparse(links["getStatus"]).path.split("/")[-2]
    described = {"description": ""}
    send(
        "PUT",
        links["mapping"],
        {
            "schema": {"objectSchema": {"name": "CLOUD", **described, "objectTypes": [
                {"name": "Volume", **described, "attributes": [{"name": "Volume ID", "type": "text", **described},
                                                               {"name": "Name", "type": "text", "label": True, **described}]}]}},
            "mapping": {"objectTypeMappings": [
                {"objectTypeName": "Volume", "selector": "volumes", **described, "attributesMapping": [
                    {"attributeName": "Volume ID", "attributeLocators": ["id"], "externalIdPart": True},
                    {"attributeName": "Name", "attributeLocators": ["name"]}]}]},
        },
    )
    started = send("POST", links["start"])["links"]
    send("POST", started["submitResults"], {"data": {"volumes": [{"id": "vol-1", "name": "data"}]}, "clientGeneratedId": "1", "completed": True})
    status = send("GET", started["getExecutionStatus"])
    expect((status["status"], status["progressResult"]["entriesCreated"]), ("DONE", 1))
    return source


def main(kind, url):
    assets, admin = client(kind, url, "integration"), client(kind, url, "admin")
    known, kinds, retired = schema_of(assets, admin, kind)
    group, made = objects(assets, known, kinds, retired)
    if kind == "cloud":
        searches_on_cloud(assets)
        source = imports(url)
        expect(assets.get_import_config_status(source), {"status": "IDLE"})
        expect(assets.get_import_source(source)["name"], "Clouds")
        expect(assets.get_import_executions_status(source)["status"], "DONE")
        jira = Jira(url=url, username="integration@example.com", password="integration-token", cloud=True, api_version="3")
    else:
        searches_on_data_center(assets, kinds)
        jira = Jira(url=url, token="integration-token", api_version="2")
    expect(jira.get("rest/api/" + ("3" if kind == "cloud" else "2") + "/myself")["emailAddress"], "integration@example.com")
    refused(403, lambda: client(kind, url, "reader").delete_object(made["id"]))
    assets.delete_object(group["id"])
    expect([one["objectTypeAttributeId"] for one in assets.get_object_attributes(made["id"])].count(known["Groups"]), 0)
    refused(404, lambda: assets.delete_object(group["id"]))
    assets.delete_object(made["id"])
    refused(404, lambda: assets.get_object(made["id"]))


main(*sys.argv[1:])
