#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Serves the faults that need TLS, HTTP/2 frames, a resolver or a deaf port: fault_server.py JSON

JSON is what FaultServer.swift makes: {"ports": [...], "names": {...}, "deaf": [[address, port]]}. The first line printed is
{"ports": [numbers]}, each later one an event: {"port": index, "event": connection | request | stream | refused, ...}.
Every port plays its fault for the first `times` requests and serves whole bodies from then on.
"""
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions of TLS, which are the point here
SETTINGS, HEADERS, DATA, RST_STREAM, PING, GOAWAY = 4, 1, 0, 3, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
REFUSED_STREAM, INTERNAL_ERROR = 7, 2
printing = threading.Lock()


def tell(**event):
    with printing:
        print(json.dumps(event | {"at": time.monotonic()}), flush=True)


def body_of(size):
    return bytes((index * 31 + 7) % 251 for index in range(size))


def take(connection, count):
    """Exactly so many bytes; None where the client has left."""
    taken = b""
    while len(taken) < count:
        block = connection.recv(count - len(taken))
        if not block:
            return None
        taken += block
    return taken


def wait_for_the_other_side(connection):
    while connection.recv(4096):
        pass


class Port:
    def __init__(self, index, plan):
        self.index, self.plan = index, plan
        self.kind, self.fault, self.times = plan["kind"], plan["fault"], plan["times"]
        self.body = body_of(plan["size"])
        self.lock = threading.Condition()
        self.answered = 0
        family = socket.AF_INET6 if ":" in plan["address"] else socket.AF_INET
        self.listener = socket.create_server((plan["address"], plan["port"]), family=family, backlog=128)
        self.context = self.tls() if self.kind in ("tls", "h2") else None

    def tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.plan["certificate"], self.plan["key"])
        if self.kind == "h2":
            context.set_alpn_protocols(["h2"])
        if self.fault in ("tls1.0", "tls1.1"):
            # The libraries of today refuse these themselves unless told twice.
            context.set_ciphers("ALL:@SECLEVEL=0")
            version = {"tls1.0": ssl.TLSVersion.TLSv1, "tls1.1": ssl.TLSVersion.TLSv1_1}[self.fault]
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, version
        return context

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            tell(port=self.index, event="connection")
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.fault == "deaf_handshake":
                wait_for_the_other_side(connection)
            elif self.fault == "plain_text":
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            else:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                if self.kind == "h2":
                    Streams(self, connection).run()
                else:
                    self.serve_http(connection)
        except (OSError, ValueError) as error:
            tell(port=self.index, event="refused", error=str(error))
        finally:
            connection.close()

    def is_faulty(self):
        """Counts an answer; the first `times` of the port are faulty."""
        with self.lock:
            self.answered += 1
            return self.answered <= self.times

    def serve_http(self, connection):
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                block = connection.recv(4096)
                if not block:
                    return
                head += block
            lines = head.decode("latin-1").split("\r\n")
            tell(port=self.index, event="request", target=lines[0].split(" ")[1], head=lines[1:-2])
            fault = self.fault if self.is_faulty() else "none"
            if fault == "redirect":
                field = f"Location: {self.plan['location']}\r\n"
                connection.sendall(f"HTTP/1.1 302 Found\r\n{field}Content-Length: 0\r\n\r\n".encode())
            elif fault in ("no_close_notify", "close_notify"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self.body)
                if fault == "close_notify":
                    connection.unwrap()
                return
            elif fault == "truncated":
                connection.sendall(self.head() + self.body[:len(self.body) // 2])
                return
            else:
                connection.sendall(self.head() + self.body)

    def head(self):
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(self.body)}\r\n\r\n".encode()


class Streams:
    """One HTTP/2 connection: frames by hand, so that every wrong order of them can be sent.

    Requests are not decoded: a port has one answer. Heads use the static table and literals only (RFC 7541).
    """

    def __init__(self, port, connection):
        self.port, self.connection, self.waiting, self.served = port, connection, [], 0

    def send(self, kind, flags, stream, payload=b""):
        head = struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream)
        self.connection.sendall(head + payload)

    def run(self):
        if take(self.connection, 24) is None:
            return
        self.send(SETTINGS, 0, 0, struct.pack("!HI", 3, 1000))
        while True:
            head = take(self.connection, 9)
            if head is None:
                return
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            payload = take(self.connection, size) if size else b""
            if kind == SETTINGS and not flags & ACK:
                self.send(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                self.send(PING, ACK, 0, payload)
            elif kind == HEADERS:
                tell(port=self.port.index, event="stream", stream=stream)
                if not self.answer(stream):
                    return

    def head(self, stream):
        length = str(len(self.port.body)).encode()
        # :status 200 is entry 8 of the table, content-length 28, which a literal writes as 15 and 13 more.
        self.send(HEADERS, END_HEADERS, stream, b"\x88\x0f\x0d" + bytes([len(length)]) + length)

    def whole(self, stream):
        self.head(stream)
        self.send_body(stream)

    def send_body(self, stream):
        body = self.port.body
        for at in range(0, len(body), 16_000):
            last = at + 16_000 >= len(body)
            self.send(DATA, END_STREAM if last else 0, stream, body[at:at + 16_000])

    def answer(self, stream):
        """False ends the connection."""
        fault = self.port.fault
        if fault == "none":
            self.whole(stream)
            return True
        if fault in ("dies_with_all", "goaway_with_all"):
            return self.die_with_all(stream)
        if not self.port.is_faulty():
            self.whole(stream)
            return True
        half = self.port.body[:len(self.port.body) // 2]
        if fault == "refused_stream":
            self.send(RST_STREAM, 0, stream, struct.pack("!I", REFUSED_STREAM))
            return True
        if fault == "goaway_at_once":
            self.send(GOAWAY, 0, 0, struct.pack("!II", 0, 0))
            return False
        if fault == "goaway_then_whole":
            self.head(stream)
            self.send(GOAWAY, 0, 0, struct.pack("!II", stream, 0))
            self.send_body(stream)
            wait_for_the_other_side(self.connection)
            return False
        self.head(stream)
        self.send(DATA, END_STREAM if fault == "ends_early" else 0, stream, half)
        if fault == "goaway_mid_body":
            self.send(GOAWAY, 0, 0, struct.pack("!II", 0, INTERNAL_ERROR))
        if fault == "goaway_then_closes":
            self.send(GOAWAY, 0, 0, struct.pack("!II", stream, 0))
        if fault in ("goaway_mid_body", "goaway_then_closes", "closes_mid_body"):
            return False
        if fault in ("reset_mid_body", "reset_without_error"):
            code = INTERNAL_ERROR if fault == "reset_mid_body" else 0
            self.send(RST_STREAM, 0, stream, struct.pack("!I", code))
        return True

    def die_with_all(self, stream):
        """The first stream is served; the connection dies when `times` more are open on it; later ones serve all."""
        with self.port.lock:
            self.port.answered += 1
            first = self.port.answered == 1
            is_over = self.port.answered > self.port.times + 1
        if first or is_over:
            self.whole(stream)
            return True
        # Each answer begins: a client may add streams only while it is answered.
        self.head(stream)
        self.waiting.append(stream)
        if len(self.waiting) < self.port.times:
            return True
        if self.port.fault == "goaway_with_all":
            for each in self.waiting:
                self.send(DATA, 0, each, self.port.body[:len(self.port.body) // 2])
            self.send(GOAWAY, 0, 0, struct.pack("!II", 0, INTERNAL_ERROR))
            wait_for_the_other_side(self.connection)
        return False


class Resolver:
    """Answers on port 53 of the loopback: {"name": {"A": [...], "AAAA": [...]} | "NXDOMAIN" | "SERVFAIL" | "silence"}."""

    def __init__(self, names):
        self.names = names
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def run(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
                at += 1 + query[at]
            kind = {1: "A", 28: "AAAA"}.get(int.from_bytes(query[at + 1:at + 3], "big"), "?")
            name = ".".join(labels).lower()
            tell(port=-1, event="query", name=name, kind=kind)
            entry = self.names.get(name, "NXDOMAIN")
            if entry == "silence":
                continue
            code = {"NXDOMAIN": 3, "SERVFAIL": 2}.get(entry, 0) if isinstance(entry, str) else 0
            addresses = entry.get(kind, []) if isinstance(entry, dict) else []
            family = socket.AF_INET6 if kind == "AAAA" else socket.AF_INET
            answers = b""
            for address in addresses:
                packed = socket.inet_pton(family, address)
                answers += b"\xc0\x0c" + query[at + 1:at + 5] + struct.pack("!IH", 1, len(packed)) + packed
            head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
            self.socket.sendto(head + query[12:at + 5] + answers, client)


def deaf(address, port):
    """Nobody accepts and the queue is full: the kernel drops every SYN from here on, like a black hole."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    held = [listener]
    for _ in range(4):
        knock = socket.socket(family, socket.SOCK_STREAM)
        knock.setblocking(False)
        knock.connect_ex(listener.getsockname()[:2])
        held.append(knock)
    return held


def main():
    plan = json.loads(sys.argv[1])
    ports = [Port(index, entry) for index, entry in enumerate(plan["ports"])]
    held = [deaf(*entry) for entry in plan["deaf"]]
    if plan["names"]:
        threading.Thread(target=Resolver(plan["names"]).run, daemon=True).start()
    for port in ports:
        threading.Thread(target=port.accept, daemon=True).start()
    numbers = [port.listener.getsockname()[1] for port in ports]
    tell(ports=numbers, deaf=[entry[0].getsockname()[1] for entry in held], pid=os.getpid())
    threading.Event().wait()


if __name__ == "__main__":
    main()
