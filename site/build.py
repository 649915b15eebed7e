#!/usr/bin/env python3
"""Builds the docs as a site in target/book, and checks every link in it. Wants mdBook, by $MDBOOK or on the PATH.

Pages link to files of the repository that aren't in docs/: each becomes a page of its own, below files/.
"""

import html
import html.parser
import os
import posixpath
import re
import subprocess
import sys
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOOK = f"{ROOT}/target/book"
FILE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>{name} - remuda</title><style>body {{ margin: 1rem auto; max-width: 60rem; padding: 0 1rem; font-family: sans-serif }}
pre {{ overflow: auto }}</style>
<p><a href="{home}index.html">remuda</a> / <code>{name}</code></p><pre>{text}</pre></html>
"""


def pages():
    for folder, _, names in os.walk(BOOK):
        for name in names:
            if name.endswith(".html"):
                yield os.path.relpath(f"{folder}/{name}", BOOK)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def source(link):
    """The file outside of docs/ that a page at the top links to. mdBook makes .html of every .md."""
    path = link.split("#")[0].removeprefix("../")
    sources = [path, path.removesuffix(".html") + ".md"]
    return next((one for one in sources if os.path.isfile(f"{ROOT}/{one}")), None)


def take_in():
    """Makes pages of the files that docs link to."""

    def replaced(found):
        path = source(html.unescape(found[1]))
        if path is None:
            return found[0]
        page = f"files/{path}.html"
        write(f"{BOOK}/{page}", FILE.format(name=path, home="../" * page.count("/"), text=html.escape(read(f"{ROOT}/{path}"))))
        return f'href="{page}"'

    for page in [page for page in pages() if "/" not in page]:
        write(f"{BOOK}/{page}", re.sub(r'href="(\.\./[^"]*)"', replaced, read(f"{BOOK}/{page}")))


class Page(html.parser.HTMLParser):
    """Where a page links to, and what can be linked to in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values["id"]} if values.get("id") else set()
        self.links += [values[name] for name in ("href", "src") if values.get(name)] if tag != "base" else []


def broken():
    """Links that lead nowhere within the site. mdBook's page for the server's 404 has links from the server's root."""
    known = {path: Page(read(f"{BOOK}/{path}")) for path in pages()}
    for path, page in known.items():
        for link in page.links if path != "404.html" else []:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            name = urllib.parse.unquote(parts.path)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if name else path
            is_there = not target.startswith("..") and os.path.isfile(f"{BOOK}/{target}")
            anchor = urllib.parse.unquote(parts.fragment)
            if not is_there or (anchor and target in known and anchor not in known[target].anchors):
                yield f"{path}: {link}"


def main():
    done = subprocess.run([os.environ.get("MDBOOK", "mdbook"), "build", ROOT])
    if done.returncode:
        sys.exit(done.returncode)
    take_in()
    found = sorted(set(broken()))
    if found:
        sys.exit("links that lead nowhere:\n" + "\n".join(found))
    print(f"{BOOK}: {len(list(pages()))} pages, no link leads nowhere")


main()
