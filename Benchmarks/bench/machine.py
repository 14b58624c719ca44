# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on, without a name of the machine or of its people."""
import os
import pathlib
import shutil
import subprocess

PACKAGES = {  # program: Debian package
    "curl": "curl", "aria2c": "aria2", "wget2": "wget2", "axel": "axel", "nginx": "nginx-light",
    "hyperfine": "hyperfine", "cc": "gcc", "ip": "iproute2", "openssl": "openssl",
}


def install():
    """The peers and what serves them, where they are missing."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not pathlib.Path("/usr/include/x86_64-linux-gnu/curl/curl.h").exists():
        missing.append("libcurl4-openssl-dev")
    if subprocess.run(["python3", "-c", "import requests"], capture_output=True).returncode:
        missing.append("python3-requests")
    if missing:
        print("installing", *missing, flush=True)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True,
                       stdout=subprocess.DEVNULL)


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else "?"


def file_system(path):
    """Type of the file system a path lies on, with the kind of device below it."""
    found = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", path], capture_output=True, text=True)
    return found.stdout.strip() or "?"


def describe(build):
    """Lines of Markdown."""
    model = "?"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    curl = first_line("curl", "--version").split("(")[0].strip()
    return [
        f"- {model}, {os.cpu_count()} cores{', a virtual machine' if virtual else ''}, {memory} GiB of memory, "
        f"Linux {os.uname().release.split('-')[0]}",
        f"- {curl}, aria2 {first_line('aria2c', '--version').split()[-1]}, "
        f"wget2 {first_line('wget2', '--version').split()[2]}, axel {first_line('axel', '--version').split()[1]}, "
        f"{first_line('nginx', '-v').partition(': ')[2]}, Python {first_line('python3', '--version').split()[1]}",
        f"- {first_line(f'{build}/dld', '--version')}, release build",
    ]
