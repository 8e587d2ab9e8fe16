#!/usr/bin/env python3
"""An HTTP proxy that breaks chosen AWS calls, for tests.

It stands between an AWS SDK (`endpoint_url`) and a server that speaks the AWS wire protocol. Every request is forwarded
as it came and every answer returned as it came, but for the requests that a rule matches. Python's standard library only.

    fault_proxy.py --upstream http://127.0.0.1:5000 --script faults.json --log requests.jsonl

The first line on standard output is the address it listens on, as `127.0.0.1:PORT`.

The script is read again for each request, so a test changes the faults by replacing the file (write a new one and rename
it: half a file is an error). A missing file means no faults. It holds one object:

    {"rules": [{"service": "ec2", "action": "DescribeInstances", "region": "eu-west-1", "nth": [1, 2], "fault": "throttle"}]}

`service` and `region` are those of the request's SigV4 credential scope, `action` is its `Action` parameter; a rule that
leaves one out matches any. `nth` (a number or a list of numbers, counted from 1) picks among the requests that match the
rest of the rule; without it, all of them. The first rule that picks a request decides. Counting starts anew when the
script's content changes.

Faults:
    deny          403, UnauthorizedOperation for EC2, AccessDenied for the others
    auth_failure  401 AuthFailure for EC2 (what a disabled region answers), 403 InvalidClientTokenId for the others
    throttle      503 RequestLimitExceeded for EC2, 400 Throttling for the others
    http500       500 InternalError for EC2, InternalFailure for the others
    reset         the connection is reset, without an answer
    truncate      the real answer with the second half of its body cut off and a Content-Length that fits what is left;
                  an answer that is not a 200 stays as it is

Each request adds one line to the log, before its answer is sent, so that whoever has the answer also finds the line:

    {"n": 1, "service": "ec2", "action": "DescribeInstances", "region": "eu-west-1", "fault": "throttle", "status": 503}

`status` is null after a reset. A request that the proxy does not understand (no SigV4, a chunked body), a broken script or
an unreachable upstream is answered with a 5xx in plain text, and its line has the reason under `error`.
"""

import argparse
import http.client
import http.server
import json
import os
import re
import socket
import struct
import sys
import threading
import urllib.parse
import uuid

FAULTS = ("deny", "auth_failure", "throttle", "http500", "reset", "truncate")
MATCHERS = ("service", "action", "region")
BODY_BYTES_MAX = 16 * 1024 * 1024
UPSTREAM_TIMEOUT_S = 120

# The two error documents of the services that are called with form parameters and answer in XML.
EC2_ERRORS = {
    "deny": (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    "auth_failure": (401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
    "throttle": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "http500": (500, "InternalError", "An internal error has occurred"),
}
QUERY_ERRORS = {
    "deny": (403, "AccessDenied", "User is not authorized to perform this operation"),
    "auth_failure": (403, "InvalidClientTokenId", "The security token included in the request is invalid"),
    "throttle": (400, "Throttling", "Rate exceeded"),
    "http500": (500, "InternalFailure", "An internal error has occurred"),
}
QUERY_NAMESPACES = {
    "autoscaling": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
    "elasticloadbalancing": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}

# They belong to one connection, not to the message.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class BadScript(Exception):
    """The script is not what this module's documentation describes."""


class BadRequest(Exception):
    """The proxy cannot tell what is asked for."""


def error_document(service, fault):
    """The status and the body with which the real service reports the fault."""
    request_id = uuid.uuid4()
    if service == "ec2":
        status, code, message = EC2_ERRORS[fault]
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
            f"<Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
    elif service in QUERY_NAMESPACES:
        status, code, message = QUERY_ERRORS[fault]
        kind = "Receiver" if status >= 500 else "Sender"
        body = (
            f'<ErrorResponse xmlns="{QUERY_NAMESPACES[service]}"><Error><Type>{kind}</Type><Code>{code}</Code>'
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        raise BadScript(f"`{fault}`: the error document of service `{service}` is not known")
    return status, body.encode()


def parse_script(text):
    """The rules of a script, or BadScript."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadScript(f"not JSON: {error}") from error
    if not isinstance(document, dict) or set(document) != {"rules"} or not isinstance(document["rules"], list):
        raise BadScript('expected {"rules": [...]}')
    for index, rule in enumerate(document["rules"]):
        where = f"rule {index}"
        if not isinstance(rule, dict):
            raise BadScript(f"{where}: expected an object")
        unknown = sorted(set(rule) - {*MATCHERS, "nth", "fault"})
        if unknown:
            raise BadScript(f"{where}: unknown key `{unknown[0]}`")
        if rule.get("fault") not in FAULTS:
            raise BadScript(f"{where}: `fault` must be one of {', '.join(FAULTS)}")
        for name in MATCHERS:
            if not isinstance(rule.get(name, ""), str):
                raise BadScript(f"{where}: `{name}` must be a string")
        if "nth" in rule:
            rule["nth"] = rule["nth"] if isinstance(rule["nth"], list) else [rule["nth"]]
            if not rule["nth"] or not all(type(n) is int and n >= 1 for n in rule["nth"]):
                raise BadScript(f"{where}: `nth` must be a number from 1, or a list of them")
    return document["rules"]


class Script:
    """The script file and how often each of its rules has matched."""

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._text = None
        self._rules = []
        self._matches = []

    def fault_for(self, request):
        """The fault for this request, or None; counts the request."""
        with self._lock:
            self._load()
            picked = None
            for index, rule in enumerate(self._rules):
                if any(name in rule and rule[name] != request[name] for name in MATCHERS):
                    continue
                self._matches[index] += 1
                if picked is None and ("nth" not in rule or self._matches[index] in rule["nth"]):
                    picked = rule["fault"]
            return picked

    def _load(self):
        try:
            with open(self._path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            text = '{"rules": []}'
        if text != self._text:
            self._rules = parse_script(text)
            self._matches = [0] * len(self._rules)
            self._text = text


class Log:
    """One JSON line per request."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self._lock = threading.Lock()
        self._count = 0

    def write(self, **fields):
        with self._lock:
            self._count += 1
            self._file.write(json.dumps({"n": self._count, **fields}) + "\n")
            self._file.flush()


def describe(method, target, headers, body):
    """Service, action and region of a request, or BadRequest."""
    scope = re.search(r"Credential=[^/,\s]+/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request", headers.get("Authorization", ""))
    if scope is None:
        raise BadRequest("no SigV4 credential scope in the Authorization header")
    if "X-Amz-Target" in headers:
        action = headers["X-Amz-Target"].rpartition(".")[2]
    elif method == "POST" and headers.get_content_type() == "application/x-www-form-urlencoded":
        action = urllib.parse.parse_qs(body.decode("utf-8", "replace")).get("Action", [None])[0]
    else:
        action = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query).get("Action", [None])[0]
    return {"service": scope[2], "action": action, "region": scope[1]}


class Handler(http.server.BaseHTTPRequestHandler):
    """One client connection."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: with Nagle's algorithm the second waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    # Filled in by main().
    script: Script
    log: Log
    upstream: tuple

    def handle_request(self):
        request = {"service": None, "action": None, "region": None}
        try:
            body = self._read_body()
            request = describe(self.command, self.path, self.headers, body)
            fault = self.script.fault_for(request)
            if fault == "reset":
                self.log.write(**request, fault=fault, status=None)
                self._reset()
                return
            if fault in EC2_ERRORS:
                status, answer = error_document(request["service"], fault)
                reason, headers = None, [("Content-Type", "text/xml;charset=UTF-8")]
            else:
                status, reason, headers, answer = self._forward(body)
            if fault == "truncate" and status == 200:
                if any(name.lower() == "content-encoding" for name, _ in headers):
                    raise BadRequest("a compressed answer cannot be cut")
                answer = answer[: len(answer) // 2]
        except (BadRequest, BadScript, OSError, http.client.HTTPException) as error:
            status = 502 if isinstance(error, (OSError, http.client.HTTPException)) else 501
            # The rest of a request that was not understood may still be on its way.
            self.close_connection = True
            message = f"fault proxy: {type(error).__name__}: {error}"
            self.log.write(**request, fault=None, status=status, error=message)
            self._answer(status, None, [("Content-Type", "text/plain; charset=utf-8")], message.encode())
            return
        self.log.write(**request, fault=fault, status=status)
        self._answer(status, reason, headers, answer)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = handle_request

    def log_message(self, format, *args):
        """Says nothing: the log file has it."""

    def _read_body(self):
        if "Transfer-Encoding" in self.headers:
            raise BadRequest("a body with a transfer encoding is not understood")
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch(r"\d{1,9}", length) or int(length) > BODY_BYTES_MAX:
            raise BadRequest(f"Content-Length `{length}` is not a number up to {BODY_BYTES_MAX}")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise BadRequest("the body ended early")
        return body

    def _forward(self, body):
        connection = http.client.HTTPConnection(*self.upstream, timeout=UPSTREAM_TIMEOUT_S)
        try:
            # The signed headers, `Host` among them, must arrive as they were signed.
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP and name.lower() != "expect":
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            return response.status, response.reason, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status, reason, headers, body):
        self.send_response_only(status, reason)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                # A HEAD answer has the length of the body that it leaves out.
                length = value if self.command == "HEAD" else length
            elif name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self):
        # Closing with a linger time of zero sends RST instead of FIN.
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class Server(http.server.ThreadingHTTPServer):
    """One thread per connection; a connection that the client dropped is no news."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def loopback_address(text):
    host, _, port = text.rpartition(":")
    if host != "127.0.0.1" or not port.isdigit():
        raise argparse.ArgumentTypeError(f"`{text}` is not 127.0.0.1:PORT")
    return host, int(port)


def upstream_address(text):
    if not text.startswith("http://"):
        raise argparse.ArgumentTypeError(f"`{text}` is not http://127.0.0.1:PORT")
    return loopback_address(text.removeprefix("http://").rstrip("/"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--listen", type=loopback_address, default="127.0.0.1:0", help="default %(default)s: any free port")
    parser.add_argument("--upstream", type=upstream_address, required=True, help="http://127.0.0.1:PORT")
    parser.add_argument("--script", required=True, help="the faults, a JSON file; need not exist yet")
    parser.add_argument("--log", required=True, help="gets one JSON line per request")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input closes, that is, with the parent")
    arguments = parser.parse_args()

    Handler.script = Script(arguments.script)
    Handler.log = Log(arguments.log)
    Handler.upstream = arguments.upstream
    server = Server(arguments.listen, Handler)
    print(f"127.0.0.1:{server.server_address[1]}", flush=True)
    if arguments.until_eof:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
