# http.client over TLS: URL CERTIFICATE COPY.
import http.client
import shutil
import ssl
import sys
import urllib.parse

url, certificate, copy = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
connection = http.client.HTTPSConnection(
    parts.hostname, parts.port, context=ssl.create_default_context(cafile=certificate))
connection.request("GET", parts.path)
response = connection.getresponse()
if response.status != 200:
    sys.exit("HTTP %d" % response.status)
with open(copy, "wb") as file:
    shutil.copyfileobj(response, file)
