# A client that looks OpenSSL's functions up itself (dlsym, by ctypes): URL CERTIFICATE COPY.
import ctypes
import socket
import sys
import urllib.parse

url, certificate, copy = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
openssl = ctypes.CDLL("libssl.so.3")
for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(openssl, name).restype = ctypes.c_void_p


def need(good, what):
    if not good:
        sys.exit(what + " failed")


context = ctypes.c_void_p(openssl.SSL_CTX_new(ctypes.c_void_p(openssl.TLS_client_method())))
need(openssl.SSL_CTX_load_verify_locations(context, certificate.encode(), None) == 1, "reading " + certificate)
openssl.SSL_CTX_set_verify(context, 1, None)
ssl = ctypes.c_void_p(openssl.SSL_new(context))
connection = socket.create_connection((parts.hostname, parts.port or 443))
need(openssl.SSL_set_fd(ssl, connection.fileno()) == 1, "SSL_set_fd")
need(openssl.SSL_connect(ssl) == 1, "SSL_connect")
request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
need(openssl.SSL_write(ssl, request, len(request)) == len(request), "SSL_write")
answer = bytearray()
buffer = ctypes.create_string_buffer(1 << 16)
while (size := openssl.SSL_read(ssl, buffer, len(buffer))) > 0:
    answer += buffer.raw[:size]
head, _, body = bytes(answer).partition(b"\r\n\r\n")
need(head.split()[1] == b"200", "the request")
with open(copy, "wb") as file:
    file.write(body)
