#!/usr/bin/env python3
"""boto3 at the end of a pipe, for tests.

    boto.py --endpoint http://127.0.0.1:5000

Each line on standard input is one request, a JSON object; its answer is one line on standard output:

    {"service": "ec2", "region": "eu-west-1", "call": "run_instances", "arguments": {"MinCount": 1, …}}
    {"listing": {"account": "123456789012", "region": "eu-west-1"}}     what boto_listing.py makes of a region; of the account, for "*"
    {"answer": {…}}     or     {"error": "…"}

`role` beside either makes the call as that role. A call that boto3 can page is read to its last page. Ends with standard input, that is, with
the parent.
"""

import argparse
import json
import sys

import boto3

import boto_listing


class Clients:
    """boto3's clients, kept. Credentials and configuration of the machine play no part."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.sessions = {None: boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")}
        self.clients = {}

    def session(self, role):
        if role not in self.sessions:
            sts = self.client(None, "sts", "us-east-1")
            keys = sts.assume_role(RoleArn=role, RoleSessionName="boto")["Credentials"]
            self.sessions[role] = boto3.session.Session(
                aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
        return self.sessions[role]

    def client(self, role, service, region):
        place = (role, service, region)
        if place not in self.clients:
            self.clients[place] = self.session(role).client(service, region_name=region, endpoint_url=self.endpoint)
        return self.clients[place]


def answer(clients, request):
    role = request.get("role")
    if "listing" in request:
        account, region = request["listing"]["account"], request["listing"]["region"]
        of_role = lambda service, name: clients.client(role, service, name)
        if region == "*":
            return boto_listing.account(of_role, account, request["listing"]["home"])
        return boto_listing.region(of_role, account, region)
    client, call, arguments = clients.client(role, request["service"], request["region"]), request["call"], request["arguments"]
    if client.can_paginate(call):
        return client.get_paginator(call).paginate(**arguments).build_full_result()
    return getattr(client, call)(**arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--endpoint", required=True)
    clients = Clients(parser.parse_args().endpoint)
    for line in sys.stdin:
        try:
            print(json.dumps({"answer": answer(clients, json.loads(line))}, default=lambda value: value.isoformat()), flush=True)
        except Exception as error:  # whatever it is, the test that asked for it has to say so
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
