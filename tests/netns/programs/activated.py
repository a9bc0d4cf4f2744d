"""A server that systemd starts: activated.py HOW CLIENTS [CERTIFICATE KEY]

Serves CLIENTS clients on descriptor 3, each with the bytes of its own number, and ends. HOW it waits
for them: accept (blocking), select, epoll, listen (says listen() again first).
"""
import os
import select
import socket
import ssl
import sys

how, clients = sys.argv[1], int(sys.argv[2])
del os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"]
context = None
if len(sys.argv) > 3:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
listener = socket.socket(fileno=3)
if how == "listen":
    listener.listen(16)
if how in ("select", "epoll"):
    listener.setblocking(False)
if how == "epoll":
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
for number in range(clients):
    while True:
        if how == "select":
            select.select([listener], [], [])
        if how == "epoll":
            epoll.poll()
        try:
            connection, address = listener.accept()
            break
        except BlockingIOError:
            pass
    connection.setblocking(True)
    if context:
        connection = context.wrap_socket(connection, server_side=True)
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(4096)
    body = bytes([number]) * 300000
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    if context:
        connection = connection.unwrap()
    connection.close()
    print("served", number, address[0], flush=True)
