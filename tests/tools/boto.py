#!/usr/bin/env python3
"""boto3 at the end of a pipe, for tests.

    boto.py --endpoint http://127.0.0.1:5000

Each line on standard input is one call, a JSON object; its answer is one line on standard output:

    {"service": "ec2", "region": "eu-west-1", "call": "run_instances", "arguments": {"MinCount": 1, …}}
    {"answer": {…}}     or     {"error": "…"}

A call that boto3 can page is read to its last page. Ends with standard input, that is, with the parent.
"""

import argparse
import json
import sys

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--endpoint", required=True)
    endpoint = parser.parse_args().endpoint
    # Credentials and configuration of the machine play no part.
    session = boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
    clients = {}
    for line in sys.stdin:
        try:
            request = json.loads(line)
            place = (request["service"], request["region"])
            if place not in clients:
                clients[place] = session.client(place[0], region_name=place[1], endpoint_url=endpoint)
            client, call, arguments = clients[place], request["call"], request["arguments"]
            if client.can_paginate(call):
                answer = client.get_paginator(call).paginate(**arguments).build_full_result()
            else:
                answer = getattr(client, call)(**arguments)
            print(json.dumps({"answer": answer}, default=lambda value: value.isoformat()), flush=True)
        except Exception as error:  # whatever it is, the test that asked for it has to say so
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
