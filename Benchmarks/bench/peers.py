# SPDX-License-Identifier: Apache-2.0
"""The programs that dld is measured against, each as its users would start it for speed."""
import os
import pathlib

from .measure import run_program

HERE = pathlib.Path(__file__).parent.parent


class Peer:
    def __init__(self, name, options, command, needs_list=None):
        self.name, self.options, self.command, self.needs_list = name, options, command, needs_list

    def run(self, job, folder):
        listing = folder.parent / "list"
        if self.needs_list:
            listing.write_text(self.needs_list(job))
        command = self.command(job, folder, listing)
        return run_program([*job.prefix, *command], cwd=folder)


def curl(parallel, *more):
    words = ["--parallel-max", str(parallel), *more]
    def listing(job):
        return "".join(f'url = "{url}"\noutput = "{name}"\n' for url, name in zip(job.urls, job.names))
    def command(job, folder, file):
        ca = ["--cacert", job.ca] if job.ca else []
        return ["curl", "-q", "-Z", "--fail", "--no-progress-meter", *words, *ca, "-K", str(file)]
    return Peer("curl -Z", " ".join(words), command, listing)


def aria2(*options):
    def listing(job):
        return "".join(f"{url}\n  out={name}\n" for url, name in zip(job.urls, job.names))
    def command(job, folder, file):
        ca = [f"--ca-certificate={job.ca}"] if job.ca else []
        return ["aria2c", "--no-conf", "--quiet", "--file-allocation=none", "--auto-save-interval=0",
                "--allow-overwrite=true", *options, *ca, "-i", str(file)]
    return Peer("aria2", " ".join(options) + " --file-allocation=none --auto-save-interval=0", command, listing)


def wget2(threads, *more):
    words = [f"--max-threads={threads}", *more]
    def listing(job):
        return "".join(f"{url}\n" for url in job.urls)
    def command(job, folder, file):
        ca = [f"--ca-certificate={job.ca}"] if job.ca else []
        return ["wget2", "--no-config", "-q", "--no-robots", "--no-hsts", "--no-ocsp", *words, *ca, "-i", str(file)]
    return Peer("wget2", " ".join(words), command, listing)


def axel(connections):
    def command(job, folder, file):
        return ["axel", "-q", "-k" if job.ca else "-q", "-n", str(connections), "-o", job.names[0], job.urls[0]]
    return Peer("axel", f"-n {connections}", command)


def bare_loop(program, threads, transfers):
    def listing(job):
        return "".join(f"{url} {name}\n" for url, name in zip(job.urls, job.names))
    def command(job, folder, file):
        return [program, str(file), str(folder), str(threads), str(transfers), *([job.ca] if job.ca else [])]
    return Peer("bare loop", f"{threads} threads x {transfers} transfers", command, listing)


def original(threads):
    """The Python that the project grew from; not with its memory: it reads whole files into it."""
    def listing(job):
        return "".join(f"{url} {name}\n" for url, name in zip(job.urls, job.names))
    def command(job, folder, file):
        environment = ["env", f"REQUESTS_CA_BUNDLE={job.ca}"] if job.ca else []
        return [*environment, "python3", str(HERE / "original.py"), "fetch", str(threads), str(file)]
    name = "Python, requests" if threads > 1 else "Python, requests, in turn"
    return Peer(name, f"{threads} threads" if threads > 1 else "one after the other", command, listing)


def fastest_many(job):
    """Variants of each peer for many files at once, by name."""
    cores = os.cpu_count()
    small = [curl(50), curl(16)]
    return {
        "curl -Z": small,
        "aria2": [aria2("-j16", "-x16")],
        "wget2": [wget2(8 * cores), wget2(50)],
    }
