"""Pages that would take the parser minutes or all memory; and ordinary ones, which only look as if they did."""

from __future__ import annotations

import time

import pytest
from selectolax.lexbor import LexborHTMLParser

from yaya.prepare.read.html import html_to_text, main_text
from yaya.prepare.read.tame import tame

SENTENCE = "This is a sentence of the article, which is long enough to count as a text by itself."
TABLE = "<table><tr><td>left</td><td>right</td></tr></table>"
ARTICLE = f"<article><h1>A title</h1><p>{SENTENCE}</p><p>{SENTENCE}</p>{TABLE}</article>"
MENU = "<div><a href='/x'>Another page</a></div><div><a href='/y'>A third page</a></div>"
# Six hundred tags each that open nothing: 512 would be too deep.
HARMLESS = {
    "comparisons in a script": "<script>" + "for(i=0;i<n;i++){}" * 600 + "</script>",
    "tags in a script": "<script>" + "s+='<div>';" * 600 + "</script>",
    "a style sheet": "<style>" + "a<b{}" * 600 + "</style>",
    "a comment": "<!--" + "<div>" * 600 + "-->",
    "shapes of a drawing": "<svg>" + "<path d='M0 0'/>" * 600 + "</svg>",
    "spaces of a formula": "<p hidden><math><mi>x</mi>" + "<mspace/>" * 600 + "</math></p>",
    "parameters": "<object>" + "<param name='x'>" * 600 + "</object>",
    "readings": "<p hidden>" + "<ruby>漢<rt>かん</ruby>" * 600 + "</p>",
    "links around divisions": "<span hidden>" + "<a href='/x'><div>x</a></div>" * 600 + "</span>",
    "a long script without an end of a tag": "<script>if(a<b){" + "x = 1; " * 1000 + "}</script>",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_opens_nothing_costs_the_page_nothing(name: str) -> None:
    page = f"<html><body>{HARMLESS[name]}{ARTICLE}{MENU}</body></html>"
    want = f"A title\n\n{SENTENCE}\n\n{SENTENCE}\n\nleft | right"
    assert main_text(page) == want
    assert html_to_text(page) == want + "\n\nAnother page\nA third page"


@pytest.mark.parametrize("name", ["comparisons in a script", "a style sheet", "a comment", "shapes of a drawing"])
def test_such_a_page_stays_as_it_is(name: str) -> None:
    page = HARMLESS[name] + ARTICLE
    assert tame(page) is page


@pytest.mark.parametrize("tag", ["<div>", "<span>", "<font color='{}'>", "<div></b>", "<span><div></span></div>"])
def test_what_is_deep_keeps_its_text(tag: str) -> None:
    text = html_to_text("".join(f"{tag.format(n)}word{n} " for n in range(2000)))
    assert text.split() == [f"word{n}" for n in range(2000)]


N = 1_000_000
HOSTILE = {
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(N // 9)) + ">end",
    "a quotation mark that is missing": '<img alt="a"b" ' + " ".join(f"word{n} and" for n in range(N // 16)) + "> end",
    "options": "<select>" + "<option>x</option>" * (N // 18) + "</select>end",
    "ends of others": "<div></b>x" * (N // 10) + "end",
    "crossing": "<span><div></span></div>x" * (N // 25) + "end",
    "links around divisions": "<a href='/x'><div></a>" * (N // 22) + "end",
    "styles": "".join(f"<p><font color='{n}'>x</p>" for n in range(N // 30)) + "end",
    "readings": "<rt>" * (N // 4) + "end",
    "paths and divisions": "<path>" * (N // 20) + "<div>x</div>" * (N // 20) + "end",
    "comments": "<!--" * (N // 4) + "end",
    "drawings": "<svg>" * (N // 5) + "end",
    "scripts": "<script" * (N // 7) + ">end",
    "brackets": "<" * N + "end",
    "quotation marks": "<a b='" * (N // 6) + "end",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_takes_seconds(name: str) -> None:
    begun = time.process_time()
    html_to_text(HOSTILE[name])
    assert time.process_time() - begun < 12  # on a slow machine; minutes without the care


def test_styles_that_are_never_closed_do_not_multiply() -> None:
    page = "".join(f"<p><font color='{n}'>" for n in range(100)) + "<p>x" * 5000
    nodes = sum(1 for _ in LexborHTMLParser(tame(page)).root.traverse())
    assert nodes < 200_000  # 500,000 without the care: 80 KB of a page take a gigabyte


def test_lists_in_lists_are_not_set_ever_deeper() -> None:
    page = "<ul><li>x" * 10_000
    assert len(html_to_text(page)) < 10 * len(page)
    assert html_to_text("<ul><li>a<ul><li>b<ol><li>c") == "- a\n\n  - b\n\n    1. c"


def test_a_cell_that_spans_no_column_is_still_a_cell() -> None:
    assert html_to_text("<table><tr><td colspan=0>a<td>b</table>") == "a | b"


@pytest.mark.parametrize("style", ["display:none", "DISPLAY: NONE", "display:\tnone", "visibility :\n hidden"])
def test_what_a_style_hides(style: str) -> None:
    assert html_to_text(f"<p>a<p style='{style}'>b<p>c") == "a\n\nc"
