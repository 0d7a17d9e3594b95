"""The commands. Imports lazily, so that `yaya --help` is instant."""

from __future__ import annotations

import argparse
import errno
import io
import itertools
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from yaya import __version__
from yaya.cli.arguments import Parser
from yaya.core import distributed
from yaya.core.messages import UsageError, UserError, is_text, program, say, t, visible

STAGE_NAMES = ("run", "prepare", "tokenize", "pretrain", "finetune", "evaluate", "tune")
TOOLS = ("chat", "generate", "serve", "plan", "doctor")


def help_text() -> str:
    return t(
        """yaya raises your own ChatGPT: from raw text to a chat page, on the machine you have.

Usage: yaya COMMAND ...

The whole story
  run RECIPE.toml [key=value ...]   all stages of a recipe, in order; what is done is skipped

One stage                           (yaya STAGE [RECIPE.toml] [key=value ...])
  prepare                           collect and clean text
  tokenize                          train a tokenizer, turn text into tokens
  pretrain                          train a model from scratch
  finetune                          teach it to chat
  evaluate                          loss, questions, the report
  tune                              search better learning rates, sizes and the like

Tools
  chat MODEL                        talk to a model in the terminal
  generate MODEL PROMPT             continue a text
  serve MODEL                       chat page and API in the browser
  plan RECIPE.toml [key=value ...]  what a run would do, how long, how much memory; trains nothing
  doctor                            what this machine can do

Start with:  yaya run recipes/laptop.toml      then:  yaya serve demo
Every command explains itself:  yaya COMMAND --help      YAYA_LANG=zh 看中文""",
        """yaya（牙牙）：在你自己的电脑上养大一个 ChatGPT，从原始文本到聊天网页。

用法：yaya 命令 ……

整个过程
  run 配方.toml [键=值 ……]          按顺序运行配方里的所有阶段；做完的会跳过

单个阶段                            （yaya 阶段 [配方.toml] [键=值 ……]）
  prepare                           收集和清洗文本
  tokenize                          训练分词器，把文本变成 token
  pretrain                          从零训练模型
  finetune                          教它聊天
  evaluate                          损失、考题、报告
  tune                              搜索更好的学习率、尺寸等参数

工具
  chat 模型                         在终端里聊天
  generate 模型 开头                续写一段文本
  serve 模型                        浏览器里的聊天网页和 API
  plan 配方.toml [键=值 ……]         会做什么、要多久、用多少内存；不训练
  doctor                            看看这台机器能做什么

开始：  yaya run recipes/laptop.toml      然后：  yaya serve demo
每个命令都有说明：  yaya 命令 --help      YAYA_LANG=en for English""",
    )


def main(argv: list[str] | None = None) -> None:
    """Entry point: runs a command and turns mistakes into messages. Exit codes: 1 a mistake, 2 usage, 130 Ctrl-C."""
    arguments = sys.argv[1:] if argv is None else argv
    prepare_streams()
    try:
        check_arguments(arguments)
        dispatch(arguments)
        sys.stdout.flush()
    except UsageError as error:
        fail(str(error), 2)
    except UserError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second one must not end in a traceback
        if arguments[0] in ("plan", *STAGE_NAMES):
            say(
                "\nStopped. What was finished is kept; the same command goes on from there.",
                "\n已停止。做完的都保留着，再运行同一命令就会接着做。",
            )
        else:
            say("\nStopped.", "\n已停止。")
        sys.exit(130)
    except RuntimeError as error:
        if distributed.world_size() == 1:
            raise
        fail(
            t(
                f"The ranks lost each other, or this one failed; the same command goes on at the last checkpoint. {error}",
                f"进程之间失去了联系，或这个进程自己出错；再运行同一命令会从上一个检查点继续。{error}",
            ),
            1,
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(explain_os_error(error), 1)


def prepare_streams() -> None:
    """Input, output and errors that never fail for a character, and are there: a shell can close them (`>&-`)."""
    for name, mode, errors in (
        ("stdin", "r", "surrogateescape"),
        ("stdout", "w", "replace"),
        ("stderr", "w", "replace"),
    ):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8", errors=errors))  # noqa: SIM115 (for good)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)  # a terminal that cannot show a character shows a question mark


def check_arguments(arguments: list[str]) -> None:
    """Recipes, reports and tokenizers hold text: an argument that is none cannot be used anywhere."""
    for argument in arguments:
        if not is_text(argument):
            raise UserError(
                f"{visible(argument)} holds bytes that are no text in this terminal's encoding ({sys.getfilesystemencoding()}). "
                "Type it anew; if it is a file's name, rename the file.",
                f"{visible(argument)} 里有终端编码（{sys.getfilesystemencoding()}）之外的字节。请重新输入；如果是文件名，请先改名。",
            )


def fail(message: str, code: int) -> None:
    who = "" if distributed.is_main() else f"[rank {distributed.rank()}] "
    print(visible(who + t(f"Error: {message}", f"出错了：{message}")), file=sys.stderr)
    sys.exit(code)


def explain_os_error(error: OSError) -> str:
    where = error.filename or t("a file", "某个文件")
    reasons = {
        errno.ENOSPC: (
            f"The disk is full while writing {where}. Free some space and run the same command again: what was finished is kept.",
            f"写 {where} 时磁盘满了。请腾出空间再运行同一命令：做完的都保留着。",
        ),
        errno.EACCES: (
            f"No permission for {where}. Choose another folder, or change its permissions.",
            f"没有权限访问 {where}。请换个文件夹，或修改权限。",
        ),
        errno.EROFS: (
            f"{where} is on a read-only disk. Work in a folder that can be written.",
            f"{where} 所在的磁盘是只读的。请在可以写入的文件夹里运行。",
        ),
    }
    en, zh = reasons.get(
        error.errno or 0, (f"{where}: {error.strerror or error}", f"{where}：{error.strerror or error}")
    )
    return t(en, zh)


def dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return
    if arguments[0] in ("-V", "--version"):
        print(f"yaya {__version__}")
        return
    command, rest = arguments[0], arguments[1:]
    if command in STAGE_NAMES:
        stage_command(command, rest)
    elif command in TOOLS:
        globals()[f"{command}_command"](rest)
    else:
        import difflib

        near = difflib.get_close_matches(command, [*STAGE_NAMES, *TOOLS], 1)
        hint = t(f" Did you mean {near[0]}?", f"你是想写 {near[0]} 吗？") if near else ""
        raise UsageError(
            f"Unknown command {command}.{hint} See: yaya --help", f"没有 {command} 这个命令。{hint}请看：yaya --help"
        )


# ---------------------------------------------------------------- stages


def stage_command(command: str, rest: list[str], plan_only: bool = False) -> None:
    """`yaya STAGE [RECIPE.toml] [key=value ...]`."""
    from yaya import pipeline
    from yaya.core import artifact
    from yaya.core.config import RunConfig, build, describe, keys, parse_assignment, read_recipe, set_dotted, spend

    def config_class(stage: str) -> type:
        return tune_stage().TuneConfig if stage == "tune" else pipeline.STAGES[stage].config_class()

    shown = "plan" if plan_only else command
    if "-h" in rest or "--help" in rest:
        names = pipeline.STAGES if command == "run" else (command,)
        print(
            t(
                f"Usage: yaya {shown} [RECIPE.toml] [key=value ...]\n\nKeys of the run:",
                f"用法：yaya {shown} [配方.toml] [键=值 ……]\n\n整个运行的键：",
            )
        )
        print(describe(RunConfig, without=() if command == "run" else keys(config_class(command))))
        for name in names:
            print(t(f"\nKeys of {name}:", f"\n{name} 的键："))
            print(describe(config_class(name), f"{name}." if command == "run" else ""))
        return
    recipe: dict[str, Any] = {}
    paid_search = False
    for place, text in enumerate(rest):
        if text.startswith("-"):
            key = text.lstrip("-").partition("=")[0].replace("-", "_") or "key"
            raise UsageError(
                f"{text!r}: keys are written without dashes: {key}=VALUE. See: yaya {shown} --help",
                f"{text!r}：键的前面不写短横：{key}=值。请看：yaya {shown} --help",
            )
        if "=" not in text:
            if place:
                raise UsageError(
                    f"Only one recipe, before the keys: {text!r}.", f"只能有一个配方，写在键的前面：{text!r}。"
                )
            recipe = read_recipe(Path(text))
            if command != "tune":
                recipe.pop("tune", None)  # that table is for `yaya tune` alone
            continue
        name, value = parse_assignment(text)
        first = name.partition(".")[0]
        if command != "run" and first not in pipeline.STAGES and first in keys(config_class(command)):
            name = f"{command}.{name}"
        elif command != "run" and "." not in name and name not in keys(RunConfig):
            from yaya.core.config import unknown_key

            raise unknown_key(name, [*keys(config_class(command)), *keys(RunConfig)], "")
        set_dotted(recipe, name, value)
        if command == "tune" and name == "budget":
            paid_search = True
    if command == "run" and not rest:
        raise UsageError(
            f"Which recipe? For example: {program()} {shown} recipes/laptop.toml",
            f"要运行哪个配方？例如：{program()} {shown} recipes/laptop.toml",
        )
    if paid_search:  # as minutes= here: the search's, not the run's
        paid = spend(
            build(RunConfig, {"budget": recipe.pop("budget"), "price_per_hour": recipe.get("price_per_hour")}, "")
        )
        set_dotted(recipe, "tune.minutes", paid.minutes)
    if command == "tune":
        tune_next(tune_stage().run(recipe))
        return
    if plan_only:
        job = pipeline.run(recipe, plan_only=True)
        trained = [job.folder / stage for stage in pipeline.TRAINING if artifact.load(job.folder / stage)]
        free = next(n for n in itertools.count(2) if not job.folder.with_name(f"{job.config.name}-{n}").exists())
        again = shlex.join([*rest, f"name={job.config.name}-{free}"] if trained else rest)
        kept = (f" {trained[0]} is finished and stays.", f"{trained[0]} 已经训练好，会保留。") if trained else ("", "")
        say(
            f"Nothing was trained.{kept[0]} Next: {program()} run {again}",
            f"没有训练。{kept[1]}下一步：{program()} run {again}",
        )
        return
    job = pipeline.run(recipe, None if command == "run" else command)
    if not job.configs["prepare"].preview:
        data = job.input_of("tokenize") if command != "prepare" else None
        has_chats = data is None or bool(data.metrics["train"]["chat"]["documents"])
        next_step(command, job.config.name, job.config.from_run, has_chats)


def next_step(command: str, name: str, other: str | None, has_chats: bool) -> None:
    """What to type now.

    other: the run that has what this one lacks. has_chats: whether there are conversations in the data, so that it can
    be fine-tuned and chat.
    """
    following = {"prepare": "tokenize", "tokenize": "pretrain", "pretrain": "finetune", "finetune": "evaluate"}
    yaya, name = program(), shlex.quote(name)
    if command in following:
        stage = following[command] if has_chats or command != "pretrain" else "evaluate"
        given = f"name={name} from={shlex.quote(other)}" if other else f"name={name}"
        say(f"Next: {yaya} {stage} {given}", f"下一步：{yaya} {stage} {given}")
    elif has_chats:
        say(
            f"Next: {yaya} chat {name}   or, in the browser: {yaya} serve {name}",
            f"下一步：{yaya} chat {name}   或在浏览器里：{yaya} serve {name}",
        )
    else:
        say(
            f'Next: {yaya} generate {name} "How a text begins"   (it has only read texts, so it continues what you write)',
            f'下一步：{yaya} generate {name} "一段文本的开头"   （它只读过文本，会接着你写的往下写）',
        )


def tune_stage() -> Any:
    """The one stage above the pipeline, which it uses."""
    from yaya.tune import search

    return search


def tune_next(found: Any) -> None:
    """What to do with what a search found."""
    if found.metrics["verdict"]["kind"] in ("default", "worse"):
        return
    best, name = shlex.quote(str(found.path / "best.toml")), shlex.quote(f"{found.path.parent.name}-best")
    say(f"Next: {program()} run {best} name={name}", f"下一步：{program()} run {best} name={name}")


# ---------------------------------------------------------------- tools


def model_argument(made: Parser) -> None:
    made.add_argument("model", metavar=t("MODEL", "模型"), help=t("a run's name, or a folder", "运行的名字，或文件夹"))


def sampling_options(made: Parser, max_new_tokens: int) -> None:
    made.add_argument("--greedy", action="store_true", help=t("always the likeliest token", "总是选最可能的 token"))
    made.add_argument("--temperature", type=float, default=0.7, help=t("boldness (default 0.7)", "温度（默认 0.7）"))
    made.add_argument("--top-k", type=int, default=0, help=t("only the k likeliest tokens", "只在最可能的 k 个里选"))
    made.add_argument(
        "--top-p",
        type=float,
        default=0.9,
        help=t("only the likeliest with this sum (default 0.9)", "只在概率和为此值的里选（默认 0.9）"),
    )
    made.add_argument(
        "--repetition-penalty", type=float, default=1.0, help=t("above 1: fewer repetitions", "大于 1 减少重复")
    )
    made.add_argument(
        "--max-new-tokens",
        type=int,
        default=max_new_tokens,
        help=t(f"longest reply (default {max_new_tokens})", f"最长回复（默认 {max_new_tokens}）"),
    )
    made.add_argument("--seed", type=int, default=None, help=t("makes the reply repeatable", "让回复可以重现"))
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")


def load_engine(options: argparse.Namespace) -> tuple[Any, Any]:
    """(engine, sampling) for a tool."""
    from yaya.cli.models import model_folder

    folder = model_folder(options.model)  # first: a wrong name is told at once, before torch is imported
    from yaya.core.machine import setup
    from yaya.inference.engine import Engine
    from yaya.inference.sampling import SamplingParams

    sampling = SamplingParams(
        max_new_tokens=options.max_new_tokens,
        temperature=0.0 if options.greedy else options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        repetition_penalty=options.repetition_penalty,
        seed=options.seed,
    )
    return Engine.load(folder, setup(options.device, "auto"), max_batch=1), sampling


def chat_command(rest: list[str]) -> None:
    made = Parser("chat", "Talk to a model in the terminal.", "在终端里和模型聊天。")
    model_argument(made)
    made.add_argument("--once", metavar="TEXT", help=t("one message; prints the reply alone", "只说一句，只打印回复"))
    made.add_argument("--system", help=t("a system message", "系统消息"))
    sampling_options(made, 256)
    options = made.parse_args(rest)
    from yaya.cli import chat

    if options.once is None:
        chat.chat(lambda: load_talker(options), options.model, options.system)
    else:
        chat.Talk(*load_talker(options), options.system).hear(options.once)


def load_talker(options: argparse.Namespace) -> tuple[Any, Any]:
    """(engine, sampling) for a chat."""
    loaded = load_engine(options)
    say_if_only_texts(options.model)
    return loaded


def say_if_only_texts(model: str) -> None:
    """Tells those who would chat with it that a model has never seen a conversation."""
    from yaya.cli.models import model_folder
    from yaya.evaluate.origin import reads_only_texts

    if reads_only_texts(model_folder(model)):
        example = f"{program()} generate {shlex.quote(model)}"
        say(
            f'{model} has only read texts, no conversations, so it does not answer but goes on writing. To have it continue a text: {example} "How a text begins"',
            f'{model} 只读过文本，没读过对话：它不会回答，只会接着往下写。让它续写一段文本：{example} "一段文本的开头"',
        )


def generate_command(rest: list[str]) -> None:
    made = Parser("generate", "Continue a text.", "续写一段文本。")
    model_argument(made)
    made.add_argument("prompt", metavar=t("PROMPT", "开头"), help=t("the text to continue", "要续写的文本"))
    sampling_options(made, 100)
    options = made.parse_args(rest)
    engine, sampling = load_engine(options)
    from yaya.cli.chat import write

    write(options.prompt)
    for piece in engine.stream(engine.encode(options.prompt), sampling):
        write(piece)
    write("\n")


def serve_command(rest: list[str]) -> None:
    made = Parser("serve", "Chat page and API in the browser.", "浏览器里的聊天网页和 API。")
    model_argument(made)
    made.add_argument(
        "--host", default="127.0.0.1", help=t("address (default: this machine alone)", "地址（默认只有本机能访问）")
    )
    made.add_argument(
        "--port",
        type=port_number,
        default=8000,
        help=t("port (default 8000; taken: the next free one)", "端口（默认 8000；被占用就用下一个）"),
    )
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, mps")
    options = made.parse_args(rest)
    from yaya.cli.models import model_folder

    folder = model_folder(options.model)
    from yaya.core.machine import setup
    from yaya.serve.server import serve

    say_if_only_texts(options.model)
    serve(folder, options.model, host=options.host, port=options.port, runtime=setup(options.device, "auto"))


def port_number(text: str) -> int:
    """The port; for argparse, which tells the message."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(
            t(f"{text!r} is no port: ports are numbers from 0 to 65535", f"{text!r} 不是端口：端口是 0 到 65535 的数字")
        )
    return int(text)


def plan_command(rest: list[str]) -> None:
    """`yaya plan RECIPE.toml [key=value ...]`: prepares and tokenises the data, measures the machine, and says the plan."""
    stage_command("run", rest, plan_only=True)


def doctor_command(rest: list[str]) -> None:
    Parser("doctor", "What this machine can do.", "看看这台机器能做什么。").parse_args(rest)
    from yaya.cli.doctor import report

    print(report())
