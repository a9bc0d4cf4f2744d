"""Socket activation as systemd does it: activate.py PORT PROGRAM ARGUMENTS...

Listens on PORT (IPv6, dual-stack), and for each client that comes while no PROGRAM runs starts one
with the listener as descriptor 3, LISTEN_FDS and LISTEN_PID. ACTIVATED_PRELOAD becomes its
LD_PRELOAD, as no preload must be in here.
"""
import os
import select
import socket
import sys

listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listener.bind(("::", int(sys.argv[1])))
listener.listen(16)
print("ready", flush=True)
while True:
    select.select([listener], [], [])
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)  # it may be 3 already
        os.set_blocking(3, True)
        os.environ["LISTEN_FDS"] = "1"
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LD_PRELOAD"] = os.environ.pop("ACTIVATED_PRELOAD")
        os.execvp(sys.argv[2], sys.argv[2:])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print("ended", status, flush=True)
    if status:
        sys.exit(status)
