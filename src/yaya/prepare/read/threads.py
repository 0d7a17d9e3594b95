"""Posts that answer each other (Reddit, Twitter/X, support chats, OpenAssistant) -> dialogues.

Each post that answers none in the file starts a dialogue: its best answer, the best answer to that, and so on.
The posts are kept in a temporary SQLite file, so memory does not grow with their number.
"""

from __future__ import annotations

import html
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from yaya.core.messages import plural
from yaya.prepare.document import Document, Message, ReadEvents
from yaya.prepare.read.choices import number_of
from yaya.prepare.read.dialogue import ROLES
from yaya.prepare.read.marks import is_bad, is_null
from yaya.prepare.read.source_files import SourceFile

MOST_TURNS = 16
GONE = frozenset({"", "[deleted]", "[removed]", "[ removed by reddit ]"})
LEADING_HANDLES = re.compile(r"^(?:\s*@\w{1,32})+\s*")
LAST_LINK = re.compile(r"https?://t\.co/\w{1,32}\s*$")
LAST = -(1 << 30)  # the score of an answer that ranks below all others
LONGEST_LINK = 60  # characters, including white space at the end


class Post(NamedTuple):
    """One post. `parent` is the id of the post it answers; `role` is known if one side is a company."""

    id: str
    parent: str | None
    author: str
    text: str
    score: int = 0
    role: str | None = None


def reddit_comment(record: dict[str, Any]) -> Post:
    return Post(
        "t1_" + str(record["id"]), str(record["parent_id"]), author_of(record), plain(record["body"]),
        count_of(record.get("score")),
    )  # fmt: skip


def reddit_submission(record: dict[str, Any]) -> Post:
    text = plain(f"{record['title']}\n\n{'' if plain(record['selftext']) in GONE else record['selftext']}")
    return Post("t3_" + str(record["id"]), None, author_of(record), text)


def author_of(record: dict[str, Any]) -> str:
    """The author; empty where unknown, as for deleted accounts."""
    author = str(record.get("author") or "")
    return "" if author.lower() in (*GONE, "nan") else author


def count_of(value: Any) -> int:
    """A number of likes, perhaps written in a table's cell."""
    return int(number_of(value) or 0)


def tweet(record: dict[str, Any]) -> Post:
    """A tweet from version 1 of Twitter's API (and from archives)."""
    user = record.get("user")
    author = user.get("screen_name", user.get("id_str")) if isinstance(user, dict) else user
    parent = record.get("in_reply_to_status_id_str") or record.get("in_reply_to_status_id")
    return Post(
        str(record.get("id_str") or record["id"]), str(parent) if parent else None, "" if author is None else str(author),
        said(record.get("full_text") or record["text"]), count_of(record.get("favorite_count")),
    )  # fmt: skip


def tweet_v2(record: dict[str, Any]) -> Post:
    """A tweet from version 2 of the API."""
    answers = [r.get("id") for r in record.get("referenced_tweets") or [] if r.get("type") == "replied_to"]
    likes = count_of((record.get("public_metrics") or {}).get("like_count"))
    return Post(
        str(record["id"]), answers[0] if answers else None, str(record["author_id"]), said(record["text"]), likes
    )


def support_tweet(record: dict[str, Any]) -> Post:
    """A row of the "Customer Support on Twitter" table: `inbound` is true if a customer wrote it."""
    parent = str(record["in_response_to_tweet_id"] or "").removesuffix(".0")
    inbound = str(record["inbound"]).lower() == "true"
    return Post(
        str(record["tweet_id"]), parent or None, str(record["author_id"]), said(record["text"]),
        role="user" if inbound else "assistant",
    )  # fmt: skip


def oasst_message(record: dict[str, Any]) -> Post:
    """A message from OpenAssistant's flat files; one that was deleted or judged bad counts as gone."""
    parent, role = str(record["parent_id"] or ""), ROLES[record["role"]]
    rank = record.get("rank")
    gone = any(is_bad(key, value) for key, value in record.items())
    return Post(
        str(record["message_id"]), None if parent in ("", "nan") else parent, role, "" if gone else record["text"].strip(),
        LAST if gone or rank in (None, "") or is_null(rank) else -int(float(str(rank))), role,
    )  # fmt: skip


# name -> (keys of such a record, its reader)
POSTS: dict[str, tuple[frozenset[str], Callable[[dict[str, Any]], Post]]] = {
    "reddit comment": (frozenset({"body", "parent_id", "id"}), reddit_comment),
    "reddit submission": (frozenset({"title", "selftext", "id"}), reddit_submission),
    "tweet v2": (frozenset({"id", "text", "author_id", "conversation_id"}), tweet_v2),
    "tweet": (frozenset({"id", "text", "user", "in_reply_to_status_id"}), tweet),
    "long tweet": (frozenset({"id", "full_text", "in_reply_to_status_id"}), tweet),
    "support tweet": (
        frozenset({"tweet_id", "author_id", "inbound", "text", "in_response_to_tweet_id"}),
        support_tweet,
    ),
    "oasst": (frozenset({"message_id", "parent_id", "text", "role"}), oasst_message),
}


def is_post(record: Any) -> bool:
    """Whether a file with this first record is a file of posts."""
    if not isinstance(record, dict) or "replies" in record:
        return False
    return any(keys <= record.keys() for keys, _ in POSTS.values())


def post_of(record: Any) -> Post | None:
    """The post in a record, None if it is broken or not a post."""
    if isinstance(record, dict):
        for keys, read in POSTS.values():
            if keys <= record.keys():
                try:
                    return read(record)
                except (TypeError, ValueError, AttributeError, KeyError):
                    return None
    return None


def plain(text: Any) -> str:
    """The text with entities decoded: Reddit writes &gt; and the like."""
    return html.unescape(text).strip() if isinstance(text, str) else ""


def said(text: Any) -> str:
    """A tweet without the handles it is addressed to, and without links to itself."""
    tweet = LEADING_HANDLES.sub("", plain(text))
    end = len(tweet)
    while found := LAST_LINK.search(tweet, max(0, end - LONGEST_LINK), end):
        end = found.start()
    return tweet[:end].strip()


def dialogues(file: SourceFile, found: Iterable[tuple[str, Any]], events: ReadEvents) -> Iterator[Document]:
    """Yields the dialogues in a file's records, in the order of their first posts."""
    with tempfile.TemporaryDirectory(prefix="yaya-threads-") as folder:
        store = sqlite3.connect(Path(folder, "posts.sqlite"), isolation_level=None)
        try:
            store.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;"
                "CREATE TABLE post (id TEXT PRIMARY KEY, parent TEXT, author TEXT, text TEXT, score INT, role TEXT, at TEXT)"
                "; BEGIN"
            )
            count = other = 0
            for where, record in found:
                post = post_of(record)
                if post is None:
                    other += 1
                    continue
                count += 1
                store.execute("INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?, ?)", (*post, where))
            store.execute("COMMIT")
            store.execute("CREATE INDEX answers ON post (parent)")
            used = made = 0
            roots = store.execute(
                "SELECT id, at FROM post p WHERE parent IS NULL OR NOT EXISTS (SELECT 1 FROM post q WHERE q.id = p.parent)"
                " ORDER BY rowid"
            )
            for root, where in roots:
                thread = best_thread(store, root)
                messages = turns(thread)
                if len(messages) >= 2:
                    used, made = used + len(thread), made + 1
                    yield Document(None, messages, file.name, where)
            events.remark(
                "threads",
                f"{file.name}: {plural(count, 'post')}, {used:,} used in {plural(made, 'dialogue')}; the others have no answer, lost to a"
                f" better one, or come after {MOST_TURNS} posts"
                + (f"; not posts: {plural(other, 'record')}" if other else ""),
                f"{file.name}：{count:,} 条帖子，其中 {used:,} 条组成 {made:,} 段对话，其余没有人回复、"
                f"有更好的回复，或者前面已经有 {MOST_TURNS} 条" + (f"；{other:,} 条记录不是帖子" if other else ""),
            )
        finally:
            store.close()


def best_thread(store: sqlite3.Connection, root: str) -> list[tuple[str, str, str | None]]:
    """(author, text, role) from the root along the best answers of others, until a post that is gone."""
    thread: list[tuple[str, str, str | None]] = []
    seen = set()
    row = store.execute("SELECT id, author, text, role FROM post WHERE id = ?", (root,)).fetchone()
    while row and row[0] not in seen and row[2].lower() not in GONE and len(thread) < MOST_TURNS:
        seen.add(row[0])
        thread.append(row[1:])
        row = store.execute(
            "SELECT id, author, text, role FROM post WHERE parent = ? AND (author != ? OR author = '') ORDER BY score DESC, rowid LIMIT 1",
            row[:2],
        ).fetchone()
    return thread


def turns(thread: list[tuple[str, str, str | None]]) -> list[Message]:
    """The posts as messages, with known roles or by turns; from the first by the user to the last by the assistant."""
    messages: list[Message] = []
    for number, (_, text, role) in enumerate(thread):
        role = role or ("user", "assistant")[number % 2]
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += f"\n{text}"
        else:
            messages.append({"role": role, "content": text})
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    if messages and messages[0]["role"] == "assistant":  # it answers a post that is missing
        del messages[0]
    return messages
