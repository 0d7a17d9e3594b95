"""The tools: `chat`, `generate`, `serve`, `plan`, `doctor`. Heavy imports wait until a model is found."""

from __future__ import annotations

import argparse
import itertools
import shlex
from collections.abc import Callable
from typing import Any

from yaya.cli.arguments import Parser
from yaya.core.messages import program, say, t


def model_argument(made: Parser) -> None:
    made.option("model", "name of a run, or a model folder", "运行的名字，或模型文件夹", metavar=t("MODEL", "模型"))


def device_option(made: Parser) -> None:
    made.option("--device", "auto, cpu, cuda, mps", "auto、cpu、cuda、mps", default="auto")


def sampling_options(made: Parser, max_new_tokens: int) -> None:
    """Adds the sampling options. max_new_tokens: the default limit."""
    made.option("--greedy", "always take the most likely token", "总是选概率最大的 token", action="store_true")
    hotter = "higher is more surprising, lower is safer (default 0.7)", "温度：越高越出人意料，越低越稳妥（默认 0.7）"
    made.option("--temperature", *hotter, type=float, default=0.7)
    made.option("--top-k", "sample from the k most likely tokens", "只从概率最大的 k 个里选", type=int, default=0)
    nucleus = (
        "sample from the top tokens with this total probability (default 0.9)",
        "只从概率最大、合计达到这个值的几个里选（默认 0.9）",
    )
    made.option("--top-p", *nucleus, type=float, default=0.9)
    made.option("--repetition-penalty", "above 1: less repetition", "大于 1 时减少重复", type=float, default=1.0)
    longest = f"longest reply, in tokens (default {max_new_tokens})", f"回复最多多少 token（默认 {max_new_tokens}）"
    made.option("--max-new-tokens", *longest, type=int, default=max_new_tokens)
    made.option("--seed", "random seed: makes the reply repeatable", "固定随机种子，让回复可复现", type=int)
    device_option(made)


def load_engine(options: argparse.Namespace) -> tuple[Any, Any]:
    """(engine, sampling) for a tool; UserError if there is no such model."""
    from yaya.cli.models import model_folder

    folder = model_folder(options.model)  # first: a wrong name is reported before torch is imported
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


def chat_command(words: list[str]) -> None:
    """`yaya chat MODEL`."""
    made = Parser("chat", "Talk to a model in the terminal.", "在终端里和模型聊天。")
    model_argument(made)
    made.option("--once", "send one message and print only the reply", "只发一句，只打印回复", metavar="TEXT")
    made.option("--system", "a system message, ahead of the chat", "系统消息，放在对话最前面")
    sampling_options(made, 256)
    options = made.parse_args(words)
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
    """Warns if the model has never seen a conversation."""
    from yaya.cli.models import model_folder
    from yaya.evaluate.origin import reads_only_texts

    if reads_only_texts(model_folder(model)):
        example = f"{program()} generate {shlex.quote(model)}"
        say(
            f'{model} was trained on plain text, not on conversations: it does not answer, it continues what you write. To continue a text: {example} "Once upon a time"',
            f'{model} 只读过文本，没读过对话：它不会回答，只会接着往下写。续写一段文本：{example} "一段文本的开头"',
        )


def generate_command(words: list[str]) -> None:
    """`yaya generate MODEL PROMPT`."""
    made = Parser("generate", "Continue a text.", "续写一段文本。")
    model_argument(made)
    made.option("prompt", "the text to continue", "要续写的文本", metavar=t("PROMPT", "开头"))
    sampling_options(made, 100)
    options = made.parse_args(words)
    engine, sampling = load_engine(options)
    from yaya.cli.chat import write

    write(options.prompt)
    for piece in engine.stream(engine.encode(options.prompt), sampling):
        write(piece)
    write("\n")


def serve_command(words: list[str]) -> None:
    """`yaya serve MODEL`."""
    made = Parser("serve", "Start a chat page and an API.", "启动聊天网页和 API。")
    model_argument(made)
    where = "address to listen on (default: this machine only)", "监听地址（默认只有本机能访问）"
    made.option("--host", *where, default="127.0.0.1")
    port = "port (default 8000; if taken, the next free one)", "端口（默认 8000；被占用就换下一个）"
    made.option("--port", *port, type=port_number, default=8000)
    device_option(made)
    options = made.parse_args(words)
    from yaya.cli.models import model_folder

    folder = model_folder(options.model)
    from yaya.core.machine import setup
    from yaya.serve.server import serve

    say_if_only_texts(options.model)
    serve(folder, options.model, host=options.host, port=options.port, runtime=setup(options.device, "auto"))


def port_number(text: str) -> int:
    """The port. Anything else raises ArgumentTypeError, whose message argparse prints."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        en = f"{text!r} is not a port: ports are numbers from 0 to 65535"
        raise argparse.ArgumentTypeError(t(en, f"{text!r} 不是端口：端口是 0 到 65535 的数字"))
    return int(text)


def plan_command(words: list[str]) -> None:
    """`yaya plan RECIPE.toml [key=value ...]`: prepares and tokenizes the data, measures the machine, prints the plan."""
    from yaya import pipeline
    from yaya.cli import stages

    if stages.asks_for_help(words):
        print(stages.help_of("run", "plan"))
        return
    job = pipeline.run(stages.recipe_of("run", words, "plan"), plan_only=True)
    run, name = job.folder.path, job.folder.name
    trained = [run / stage.name for stage in pipeline.STAGES.values() if stage.trains and job.folder.own(stage)]
    free = next(n for n in itertools.count(2) if not run.with_name(f"{name}-{n}").exists())
    again = shlex.join([*words, f"name={name}-{free}"] if trained else words)
    en = f" {trained[0]} is already trained and is kept." if trained else ""
    zh = f"{trained[0]} 已经训练好，会保留。" if trained else ""
    go_on = f"{program()} run {again}"
    say(f"Nothing was trained.{en} Next: {go_on}", f"没有训练。{zh}下一步：{go_on}")


def doctor_command(words: list[str]) -> None:
    """`yaya doctor`."""
    Parser("doctor", "Show what this machine can do.", "看看这台机器能做什么。").parse_args(words)
    from yaya.cli.doctor import report

    print(report())


TOOLS: dict[str, Callable[[list[str]], None]] = {
    "chat": chat_command,
    "generate": generate_command,
    "serve": serve_command,
    "plan": plan_command,
    "doctor": doctor_command,
}
