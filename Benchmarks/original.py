# SPDX-License-Identifier: Apache-2.0
"""The idea that dld grew from, as one would write it in Python: downloads on threads, sums on processes.

    original.py fetch THREADS LIST      LIST: a line each, "URL NAME"; into the current directory
    original.py sum turn|process|pool COUNT TERMS
"""
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor


def fetch(line):
    import requests
    url, name = line.split()
    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    with open(name, "wb") as file:
        file.write(answer.content)


def add_up(terms):
    total = 0
    for number in range(terms):
        total += number
    return total


def main():
    kind, how, *rest = sys.argv[1:]
    if kind == "fetch":
        with open(rest[0]) as file:
            lines = file.read().splitlines()
        if how == "1":
            for line in lines:
                fetch(line)
        else:
            with ThreadPoolExecutor(int(how)) as pool:
                list(pool.map(fetch, lines))
        return
    count, terms = map(int, rest)
    if how == "turn":
        for _ in range(count):
            add_up(terms)
    elif how == "process":
        processes = [multiprocessing.Process(target=add_up, args=(terms,)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    else:
        with multiprocessing.Pool() as pool:
            pool.map(add_up, [terms] * count)


if __name__ == "__main__":
    main()
