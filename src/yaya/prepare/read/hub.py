"""Datasets on a hub by id: `hf:wikimedia/wikipedia/20231101.zh` (Hugging Face), `ms:owner/name` (ModelScope).

Files are read over HTTP with range requests, as needed, so nothing has to fit on the disk; a transfer that breaks off
continues where it stopped. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are respected; offline, the local cache is read.
"""

from __future__ import annotations

import fnmatch
import hashlib
import http.client
import io
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from yaya.core.messages import UserError, say

BLOCK = 4 << 20  # bytes read at a time
RETRIES, FIRST_PAUSE_S, TIMEOUT_S = 6, 0.5, 30
MS_ENDPOINT = "https://www.modelscope.cn"
CONVERTED = "refs/convert/parquet"  # where the Hugging Face hub keeps every dataset as Parquet
DATA = (".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".csv", ".txt")
HELD_OUT = ("test", "valid", "dev", "eval")


@dataclass(frozen=True)
class HubFile:
    """A file on a hub; picklable, so that any process can open it. The token is looked up where it is opened."""

    hub: str  # "hf" or "ms"
    url: str
    size: int

    def open(self) -> IO[bytes]:
        return io.BufferedReader(RangeFile(self.url, self.size, headers(self.hub)), BLOCK)


@dataclass(frozen=True)
class ListedFile:
    """What a listing says of one file."""

    path: str
    size: int
    place: HubFile | Path  # a path in the local cache when offline


def is_hub(source: str) -> bool:
    return source.startswith(("hf:", "ms:"))


def list_dataset(source: str) -> tuple[str, list[ListedFile]]:
    """Revision and data files of `hub:owner/name[/config][:split]`. UserError where the hub has no such data."""
    hub, _, rest = source.partition(":")
    rest, _, split = rest.partition(":")
    parts = rest.strip("/").split("/", 2)
    if len(parts) < 2 or not all(parts):
        raise UserError(
            f"{source} is not a dataset id. Write {hub}:owner/name, {hub}:owner/name/config or {hub}:owner/name:split.",
            f"{source} 不是数据集 id。请写成 {hub}:所有者/名字、{hub}:所有者/名字/子集 或 {hub}:所有者/名字:划分。",
        )
    name, config = "/".join(parts[:2]), parts[2] if len(parts) > 2 else ""
    revision, files, card = (huggingface if hub == "hf" else modelscope)(name)
    chosen = choose(files, config, split or "train", card)
    if not chosen and hub == "hf" and not offline():
        revision, files, card = huggingface(name, CONVERTED)
        chosen = choose(files, config, split or "train", {})
    if not chosen:
        folders = sorted({file.path.split("/")[0] for file in files if "/" in file.path})[:12]
        raise UserError(
            f"{source}: no data file for that config and split. Folders there: {', '.join(folders) or 'none'}.",
            f"{source}：找不到这个子集和划分的数据文件。那里的文件夹：{', '.join(folders) or '无'}。",
        )
    return revision, chosen


def choose(files: Iterable[ListedFile], config: str, split: str, card: dict[str, Any]) -> list[ListedFile]:
    """The files of one config and split, by the card's `configs`, else by the names of folders and files."""
    data = sorted((file for file in files if file.path.lower().endswith(DATA)), key=lambda file: file.path)
    patterns = patterns_of(card, config, split)
    if patterns:
        return [file for file in data if any(fnmatch.fnmatch(file.path, pattern) for pattern in patterns)]
    if config:
        data = [file for file in data if f"/{config}/" in f"/{file.path}"]
    names = {file: os.path.basename(file.path).lower() for file in data}
    parquet = [file for file in data if names[file].endswith(".parquet")]
    data = parquet or [file for file in data if not names[file].endswith((".txt", ".json"))] or data
    marked = [file for file in data if split in file.path.lower()]
    if marked or split != "train":
        return marked
    return [file for file in data if not any(word in file.path.lower() for word in HELD_OUT)]


def patterns_of(card: dict[str, Any], config: str, split: str) -> list[str]:
    """Path patterns for a config and split in the dataset's card."""
    configs = [c for c in card.get("configs") or [] if isinstance(c, dict)]
    named = [c for c in configs if c.get("config_name") == (config or "default")]
    named = named or ([] if config else [c for c in configs if c.get("default")] or configs[:1])
    found: list[str] = []
    for entry in named:
        files = entry.get("data_files")
        for item in files if isinstance(files, list) else [files]:
            if isinstance(item, dict) and item.get("split", "train") == split:
                paths = item.get("path")
                found += paths if isinstance(paths, list) else [str(paths)]
            elif isinstance(item, str) and split == "train":
                found.append(item)
    return [pattern.replace("**", "*") for pattern in found if isinstance(pattern, str)]


def offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def huggingface(name: str, revision: str = "main") -> tuple[str, list[ListedFile], dict[str, Any]]:
    """Returns (commit, files, card) of a dataset on the Hugging Face hub, or in the local cache when offline.

    No files if the revision does not exist; UserError if the dataset does not, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    if offline():
        return in_cache(name, revision)
    api = HfApi()
    try:
        commit = api.dataset_info(name, revision=revision).sha or revision
        tree = api.list_repo_tree(name, repo_type="dataset", revision=commit, recursive=True)
        listed = [entry for entry in tree if isinstance(entry, RepoFile)]
    except GatedRepoError:
        raise UserError(
            f"The terms of {name} must be accepted first: open https://huggingface.co/datasets/{name}, accept, and set HF_TOKEN.",
            f"{name} 需要先同意条款：打开 https://huggingface.co/datasets/{name} 点同意，再设置 HF_TOKEN。",
        ) from None
    except RevisionNotFoundError:
        return revision, [], {}
    except RepositoryNotFoundError:
        raise UserError(
            f"The hub has no dataset {name} (or it is private: set HF_TOKEN). Check the spelling.",
            f"hub 上没有数据集 {name}（如果是私有的，请设置 HF_TOKEN）。请检查拼写。",
        ) from None
    except Exception as error:  # also the HTTP library's own, whose module differs between versions
        of_http = any(library in type(error).__module__ for library in ("httpx", "requests"))
        if of_http or isinstance(error, HfHubHTTPError | OSError | ValueError):
            raise unreachable(api.endpoint, error) from None
        raise
    files = []
    for f in listed:
        url = hf_hub_url(name, f.path, repo_type="dataset", revision=commit, endpoint=api.endpoint)
        files.append(ListedFile(f.path, f.size, HubFile("hf", url, f.size)))
    return commit, files, card_of(files)


def in_cache(name: str, revision: str) -> tuple[str, list[ListedFile], dict[str, Any]]:
    """Returns (commit, files, card) of a dataset in the local cache; UserError if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise UserError(
            f"HF_HUB_OFFLINE is set and {name} is not in the local cache. Unset HF_HUB_OFFLINE, or download the dataset first.",
            f"设置了 HF_HUB_OFFLINE，而本地缓存里没有 {name}。请取消这个设置，或先下载数据集。",
        ) from None
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [ListedFile(path.relative_to(folder).as_posix(), path.stat().st_size, path) for path in found]
    return folder.name, files, card_of(files)


def unreachable(endpoint: str, error: Exception) -> UserError:
    """The error for a hub that cannot be reached."""
    why = str(error).split("\n")[0][:200]
    return UserError(
        f"{endpoint} cannot be reached: {why}. Check the network, or use a mirror, e.g. HF_ENDPOINT=https://hf-mirror.com.",
        f"连不上 {endpoint}：{why}。请检查网络，或使用镜像，例如 HF_ENDPOINT=https://hf-mirror.com。",
    )


def modelscope(name: str) -> tuple[str, list[ListedFile], dict[str, Any]]:
    """Returns (revision, files, {}) of a dataset on ModelScope. MODELSCOPE_DOMAIN names another host.

    The branch moves and has no commit for the whole, so the revision is a digest of what the listing says about each file.
    """
    domain = os.environ.get("MODELSCOPE_DOMAIN", MS_ENDPOINT)
    endpoint = domain if "://" in domain else f"https://{domain}"
    files: list[ListedFile] = []
    told = hashlib.sha256()
    seen: set[str] = set()
    page, size = 1, 100
    while True:
        query = urllib.parse.urlencode(
            {"Revision": "master", "Recursive": "True", "Root": "/", "PageNumber": page, "PageSize": size}
        )
        answer = get_json(f"{endpoint}/api/v1/datasets/{name}/repo/tree?{query}")
        listed = (answer.get("Data") or {}).get("Files") or []
        new = [file for file in listed if file["Path"] not in seen]
        seen.update(file["Path"] for file in new)
        for file in new:
            if file.get("Type") != "tree":
                where = urllib.parse.urlencode({"Revision": "master", "FilePath": file["Path"]})
                url = f"{endpoint}/api/v1/datasets/{name}/repo?{where}"
                content = file.get("Sha256") or file.get("Revision") or file.get("CommittedDate")
                told.update(f"{file['Path']}\0{file['Size']}\0{content}\n".encode())
                files.append(ListedFile(file["Path"], int(file["Size"]), HubFile("ms", url, int(file["Size"]))))
        if len(listed) < size or not new:  # a server that ignores page numbers always sends the same
            return told.hexdigest(), files, {}
        page += 1


def get_json(url: str) -> dict[str, Any]:
    """The JSON object at an address; UserError where there is none, or the hub cannot be reached."""
    try:
        request = urllib.request.Request(url, headers=headers("ms"))
        with urllib.request.build_opener(SameHostToken).open(request, timeout=TIMEOUT_S) as answer:
            found = json.load(answer)
        if not isinstance(found, dict):
            raise ValueError("the answer is no JSON object")
        return found
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UserError(
                f"There is nothing at {url}. Check the dataset's id.", f"{url} 不存在。请检查数据集 id。"
            ) from None
        raise unreachable(url.split("/api/")[0], error) from None
    except (OSError, ValueError) as error:
        raise unreachable(url.split("/api/")[0], error) from None


def headers(hub: str) -> dict[str, str]:
    """User agent, and the user's token for this hub."""
    if hub == "hf":
        from huggingface_hub.utils import build_hf_headers

        return build_hf_headers(library_name="yaya")
    token = os.environ.get("MODELSCOPE_API_TOKEN")
    return {"User-Agent": "yaya"} | ({"Authorization": f"Bearer {token}"} if token else {})


def card_of(files: Sequence[ListedFile]) -> dict[str, Any]:
    """The dataset's card: the YAML between the lines `---` at the top of its README; empty where there is none."""
    readme = next((file.place for file in files if file.path == "README.md"), None)
    if readme is None:
        return {}
    import yaml

    with readme.open("rb") if isinstance(readme, Path) else readme.open() as stream:
        card = stream.read(1 << 20).decode("utf-8", "replace")
    try:
        head = yaml.safe_load(card[3:].split("\n---", 1)[0]) if card.startswith("---") else None
    except yaml.YAMLError:
        return {}
    return head if isinstance(head, dict) else {}


class SameHostToken(urllib.request.HTTPRedirectHandler):
    """Follows redirects, without sending the token to another host."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            new.headers.pop("Authorization", None)
        return new


class RangeFile(io.RawIOBase):
    """A file at an HTTP address. A transfer that breaks off is requested again from where it stopped."""

    def __init__(self, url: str, size: int, headers: dict[str, str]):
        self.url, self.size, self.headers = url, size, headers
        self.at = 0
        self.answer: Any = None
        self.opener = urllib.request.build_opener(SameHostToken)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + (0, self.at, self.size)[whence]
        if at != self.at:
            self.drop()
        self.at = at
        return at

    def drop(self) -> None:
        if self.answer is not None:
            self.answer.close()
        self.answer = None

    def close(self) -> None:
        self.drop()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as one answer goes; 0 at the end. UserError after RETRIES failures in a row."""
        wanted = min(len(buffer), self.size - self.at)
        if wanted <= 0:
            return 0
        for trial in range(RETRIES + 1):
            try:
                if self.answer is None:
                    self.answer = self.ask()
                data = self.answer.read(wanted)
                if data:
                    buffer[: len(data)] = data
                    self.at += len(data)
                    return len(data)
                raise EOFError("the transfer broke off")
            except urllib.error.HTTPError as error:
                if error.code not in (408, 429) and error.code < 500:
                    raise UserError(
                        f"{self.url}: the hub answered {error.code} {error.reason}.",
                        f"{self.url}：hub 返回 {error.code} {error.reason}。",
                    ) from None
                failure: Exception = error
            except (OSError, EOFError, http.client.HTTPException) as error:
                failure = error
            self.drop()
            if trial < RETRIES:
                pause = FIRST_PAUSE_S * 2**trial
                say(
                    f"{self.url}: {failure}; retrying in {pause:g} s ...",
                    f"{self.url}：{failure}；{pause:g} 秒后重试……",
                )
                time.sleep(pause)
        raise UserError(
            f"The transfer of {self.url} stopped after {self.at:,} of {self.size:,} bytes. Run the same command to continue.",
            f"{self.url} 传了 {self.at:,} / {self.size:,} 字节后中断。再运行同一条命令即可继续。",
        )

    def ask(self) -> Any:
        """A response that starts at the current position."""
        request = urllib.request.Request(self.url, headers=self.headers | {"Range": f"bytes={self.at}-"})
        answer = self.opener.open(request, timeout=TIMEOUT_S)
        if self.at and answer.status != 206:  # a server without ranges sends everything: skip what we have
            skip(answer, self.at)
        return answer


def skip(stream: IO[bytes], length: int) -> None:
    while length > 0:
        length -= len(stream.read(min(length, BLOCK))) or length
