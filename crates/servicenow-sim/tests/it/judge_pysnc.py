"""What PySNC makes of the simulator: judge_pysnc.py URL CA_FILE. It exits with the first thing that is not as it should be."""

import sys

import requests
from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowPasswordGrantFlow
from pysnc.exceptions import AuthenticationException, NotFoundException, RoleException
from requests.auth import AuthBase

TABLE = "cmdb_ci_vm_instance"


class ApiKey(AuthBase):
    def __call__(self, request):
        request.headers["x-sn-apikey"] = "test-key"
        return request


class Bearer(AuthBase):
    """The client-credentials grant, for which this release of PySNC has no flow."""

    def __init__(self, url, ca):
        form = {"grant_type": "client_credentials", "client_id": "client-id", "client_secret": "client-secret"}
        answer = requests.post(f"{url}/oauth_token.do", data=form, verify=ca, timeout=30)
        answer.raise_for_status()
        self.token = answer.json()["access_token"]

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def expect(found, wanted):
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(error, action):
    try:
        action()
    except error:
        return
    raise SystemExit(f"{error.__name__} did not come")


def logins(url, ca):
    password = ServiceNowPasswordGrantFlow("integration", "integration-password", "client-id", "client-secret")
    clients = [
        ServiceNowClient(url, ("integration", "integration-password"), verify=ca),
        ServiceNowClient(url, password, verify=ca),
        ServiceNowClient(url, ApiKey(), verify=ca),
        ServiceNowClient(url, Bearer(url, ca), verify=ca),
    ]
    for client in clients:
        record = client.GlideRecord("sys_user")
        expect(record.get("user_name", "integration"), True)
    wrong = ServiceNowClient(url, ("integration", "wrong"), verify=ca)
    refused(AuthenticationException, lambda: wrong.GlideRecord(TABLE).query())
    nobody = ServiceNowClient(url, ("nobody", "nobody-password"), verify=ca)
    refused(RoleException, lambda: nobody.GlideRecord(TABLE).query())
    return clients


def records(client):
    record = client.GlideRecord(TABLE)
    record.initialize()
    record.name = "web-1"
    record.object_id = "i-1"
    record.install_status = "1"
    sys_id = record.insert()
    expect(len(sys_id), 32)
    expect(record.get_display_value("install_status"), "Installed")
    expect(record.get_value("sys_class_name"), TABLE)

    found = client.GlideRecord("cmdb_ci")
    expect(found.get(sys_id), True)
    expect(found.name, "web-1")
    found.name = "web-2"
    found.operational_status = "6"
    expect(str(found.update()), str(sys_id))
    expect(found.get_display_value("operational_status"), "Retired")
    expect(found.get_value("object_id"), "i-1")
    both = found.serialize(display_value="both")
    expect(both["operational_status"], {"value": "6", "display_value": "Retired"})
    expect(both["assigned_to"], {"value": "", "display_value": ""})
    expect(found.delete(), True)
    expect(client.GlideRecord("cmdb_ci").get(sys_id), False)
    refused(NotFoundException, lambda: client.table_api.delete(found))


def paging(client):
    for number in range(25):
        record = client.GlideRecord(TABLE)
        record.initialize()
        record.name = f"node-{number:02}"
        record.object_id = f"i-page-{number}"
        record.install_status = "7" if number % 5 == 0 else "1"
        record.insert()
    record = client.GlideRecord(TABLE, batch_size=10)
    record.add_query("object_id", "STARTSWITH", "i-page-")
    record.order_by("sys_id")
    record.query()
    expect(record.get_row_count(), 25)
    ids = [row.get_value("sys_id") for row in record]
    expect(len(set(ids)), 25)
    expect(ids, sorted(ids))

    some = client.GlideRecord(TABLE)
    some.fields = ["name", "install_status"]
    some.limit = 3
    condition = some.add_query("name", "node-05")
    condition.add_or_condition("name", "node-06")
    some.add_query("install_status", "!=", "7")
    some.query()
    expect([row.get_value("name") for row in some], ["node-06"])

    encoded = client.GlideRecord(TABLE)
    encoded.add_encoded_query("install_status=7^object_idISNOTEMPTY")
    encoded.query()
    expect(encoded.get_row_count(), 5)
    empty = client.GlideRecord(TABLE)
    empty.add_query("name", "nobody")
    empty.query()
    expect((empty.has_next(), empty.get_row_count()), (False, 0))


def batches(client):
    record = client.GlideRecord(TABLE)
    record.add_query("install_status", "7")
    record.query()
    for row in record:
        row.short_description = "by batch"
    expect(record.update_multiple(), True)
    check = client.GlideRecord(TABLE)
    check.add_query("short_description", "by batch")
    check.query()
    expect(check.get_row_count(), 5)
    # A query that is too long for a URL goes through the batch interface by itself.
    long = client.GlideRecord(TABLE)
    long.add_encoded_query("nameINnode-01," + ",".join("x" * 30 for _ in range(400)))
    long.query()
    expect([row.get_value("name") for row in long], ["node-01"])
    gone = client.GlideRecord(TABLE)
    gone.add_query("object_id", "STARTSWITH", "i-page-")
    gone.query()
    expect(gone.delete_multiple(), True)
    check = client.GlideRecord(TABLE)
    check.query()
    expect(check.get_row_count(), 0)


def references(client):
    group = client.GlideRecord("sys_user_group")
    expect(group.get("name", "Cloud"), True)
    record = client.GlideRecord(TABLE)
    record.initialize()
    record.name = "web"
    record.support_group = group.sys_id
    record.insert()
    expect(record.get_display_value("support_group"), "Cloud")
    walked = client.GlideRecord(TABLE)
    walked.fields = ["name", "support_group.name"]
    walked.add_query("support_group.name", "Cloud")
    walked.query()
    expect(walked.next(), True)
    expect(walked.get_value("support_group.name"), "Cloud")
    walked.delete()


def main(url, ca):
    for client in logins(url, ca):
        records(client)
        references(client)
    paging(client)
    batches(client)


if __name__ == "__main__":
    main(*sys.argv[1:])
