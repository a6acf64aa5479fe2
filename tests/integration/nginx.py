"""nginx on a port of its own, before the API of a server."""

import shutil

import pytest

from net_rig import Daemon

needs_nginx = pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="no nginx here")
BASE = "/clearml/api"


class Nginx(Daemon):
    """Its files are below folder; server: lines of the server block; http: of the http block."""

    def __init__(self, folder, upstream, listen="", server="", http=""):
        folder.mkdir()
        conf = folder / "nginx.conf"
        temp = "\n".join(f"{kind}_temp_path {folder}/{kind};"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))

        def make_command(port):
            conf.write_text(f"""
                daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
                events {{}}
                http {{
                    {temp} access_log {folder}/access.log;
                    {http}
                    server {{
                        listen 127.0.0.1:{port} {listen};
                        client_max_body_size 100k;
                        gzip on; gzip_types application/json; gzip_min_length 1; gzip_proxied any;
                        {server}
                        location {BASE}/ {{ proxy_pass {upstream}/; proxy_read_timeout 20s; }}
                    }}
                }}""")
            return ["/usr/sbin/nginx", "-p", folder, "-c", conf, "-e", folder / "error.log"]

        super().__init__(folder, make_command)
        self.access = folder / "access.log"
        self.url = f"http{'s' if 'ssl' in listen else ''}://127.0.0.1:{self.port}{BASE}"
