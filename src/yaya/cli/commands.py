"""The program's entry point: dispatch, error messages and exit codes."""

from __future__ import annotations

import difflib
import errno
import io
import os
import signal
import sys

from yaya import __version__
from yaya.cli.tools import TOOLS
from yaya.core import distributed
from yaya.core.messages import UsageError, UserError, is_text, say, t, visible


def help_text() -> str:
    """What `yaya --help` prints."""
    return t(
        """yaya: raise your own ChatGPT, from raw text to a chat page, on the machine you have.

Usage: yaya COMMAND ...

The whole pipeline
  run RECIPE.toml [key=value ...]   run every stage of a recipe in order; finished ones are skipped

One stage                           (yaya STAGE [RECIPE.toml] [key=value ...])
  prepare                           collect and clean text
  tokenize                          train a tokenizer, turn text into tokens
  pretrain                          train a model from scratch
  finetune                          teach it to chat
  evaluate                          measure the loss, ask test questions, write a report
  tune                              search for a better learning rate, model size and so on

Tools
  chat MODEL                        talk to a model in the terminal
  generate MODEL PROMPT             continue a text
  serve MODEL                       start a chat page and an API
  plan RECIPE.toml [key=value ...]  show what a run would do, its time and memory; trains nothing
  doctor                            show what this machine can do

Start with:  yaya run recipes/laptop.toml      then:  yaya serve demo
Help on a command:  yaya COMMAND --help      YAYA_LANG=zh 看中文""",
        """yaya（牙牙）：在你自己的电脑上养大一个 ChatGPT，从原始文本到聊天网页。

用法：yaya 命令 ……

完整流程
  run 配方.toml [键=值 ……]          按顺序运行配方里的所有阶段，已完成的会跳过

单个阶段                            （yaya 阶段 [配方.toml] [键=值 ……]）
  prepare                           收集和清洗文本
  tokenize                          训练分词器，把文本变成 token
  pretrain                          从零训练模型
  finetune                          教它聊天
  evaluate                          算损失、做考题、出报告
  tune                              搜索更好的学习率、模型大小等设置

工具
  chat 模型                         在终端里聊天
  generate 模型 开头                续写一段文本
  serve 模型                        启动聊天网页和 API
  plan 配方.toml [键=值 ……]         看看会做什么、要多久、占多少内存；不训练
  doctor                            看看这台机器能做什么

开始：  yaya run recipes/laptop.toml      然后：  yaya serve demo
查看命令的用法：  yaya 命令 --help      YAYA_LANG=en for English""",
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
        if arguments[:1] and arguments[0] not in {*TOOLS} - {"plan"}:
            say(
                "\nStopped. Finished work is kept; run the same command again to resume.",
                "\n已停止。已完成的部分都保留着，再运行同一命令就会接着做。",
            )
        else:
            say("\nStopped.", "\n已停止。")
        sys.exit(130)
    except RuntimeError as error:
        if distributed.world_size() == 1:
            raise
        lost = t(
            f"The ranks lost contact, or this one failed. Run the same command again to resume from the last checkpoint. {error}",
            f"进程之间失去了联系，或这个进程自己出错；再运行同一命令会从上一个检查点继续。{error}",
        )
        fail(lost, 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(explain_os_error(error), 1)


def prepare_streams() -> None:
    """Makes sure that the standard streams exist (a shell can close them: `>&-`) and never fail on a character."""
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
    """Raises UserError for any argument that is not valid text: recipes, reports and tokenizers store it."""
    for argument in arguments:
        if not is_text(argument):
            raise UserError(
                f"{visible(argument)} contains bytes that are not valid text in this terminal's encoding ({sys.getfilesystemencoding()}). "
                "Type it again, or rename the file if it is a file name.",
                f"{visible(argument)} 里有终端编码（{sys.getfilesystemencoding()}）之外的字节。请重新输入；如果是文件名，请先改名。",
            )


def fail(message: str, code: int) -> None:
    """Prints an error and exits."""
    who = "" if distributed.is_main() else f"[rank {distributed.rank()}] "
    print(visible(who + t(f"Error: {message}", f"出错了：{message}")), file=sys.stderr)
    sys.exit(code)


def explain_os_error(error: OSError) -> str:
    """What the system refused, and what to do about it."""
    where = error.filename or t("a file", "某个文件")
    reasons = {
        errno.ENOSPC: (
            f"The disk is full: cannot write {where}. Free some space and run the same command again; finished work is kept.",
            f"写入 {where} 时磁盘满了。请腾出空间，再运行同一命令；已完成的部分都保留着。",
        ),
        errno.EACCES: (
            f"No permission to access {where}. Choose another folder, or change its permissions.",
            f"没有权限访问 {where}。请换个文件夹，或修改权限。",
        ),
        errno.EROFS: (
            f"{where} is on a read-only disk. Work in a writable folder.",
            f"{where} 所在的磁盘是只读的。请在可以写入的文件夹里运行。",
        ),
    }
    reason = error.strerror or error
    return t(*reasons.get(error.errno or 0, (f"{where}: {reason}", f"{where}：{reason}")))


def dispatch(arguments: list[str]) -> None:
    """Runs the command that the arguments name; an unknown one raises UsageError with the nearest name."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return
    if arguments[0] in ("-V", "--version"):
        print(f"yaya {__version__}")
        return
    command, rest = arguments[0], arguments[1:]
    if command in TOOLS:
        TOOLS[command](rest)
        return
    from yaya.cli import stages  # only here, so that help is instant

    if command in stages.names():
        stages.stage_command(command, rest)
    else:
        near = difflib.get_close_matches(command, [*stages.names(), *TOOLS], 1)
        hint = t(f" Did you mean {near[0]}?", f"你是想写 {near[0]} 吗？") if near else ""
        raise UsageError(
            f"Unknown command {command}.{hint} See: yaya --help", f"没有 {command} 这个命令。{hint}请看：yaya --help"
        )
