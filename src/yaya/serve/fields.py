"""Which fields of a request are refused, and which are ignored.

An unsupported field that would change the answer is refused by name, unless its value has no effect.
Every other field is accepted and named in the header `x-ignored-fields`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from yaya.core.messages import UserError

BLANK: tuple[Any, ...] = (None, False, "", [], {})
Table = Mapping[str, tuple[Any, ...]]


def off(names: str, *values: Any) -> dict[str, tuple[Any, ...]]:
    """Each name with the values that have no effect: the blank ones, and `values`."""
    return dict.fromkeys(names.split(), (*BLANK, *values))


# Fields of OpenAI, vLLM, llama.cpp, Ollama, transformers and others that would change the answer, each with the values
# that have no effect. Fields that a route supports belong to its request class and are not looked up here.
UNSUPPORTED: Table = {
    # Amounts that are off at 0, and factors and counts that are off at 1.
    **off("presence_penalty frequency_penalty logprobs top_logprobs prompt_logprobs n_probs min_p top_a", 0),
    **off("min_tokens min_new_tokens min_length no_repeat_ngram_size penalty_alpha mirostat dynatemp_range", 0),
    **off("xtc_probability dry_multiplier smoothing_factor epsilon_cutoff eta_cutoff", 0),
    **off("n best_of num_return_sequences num_beams num_beam_groups typical_p tfs_z", 1),
    **off("repeat_penalty length_penalty encoder_repetition_penalty guidance_scale", 1),
    **off("top_n_sigma", 0, -1),
    # Where the reply ends, under other routes' or servers' names.
    **off("max_tokens max_completion_tokens max_new_tokens max_length max_time ignore_eos"),
    **off("n_predict num_predict", -1),
    **off("stop_sequences stop_strings stop_token_ids include_stop_str_in_output"),
    # What the model should read.
    **off("messages prompt system instructions documents images audio suffix negative_prompt"),
    **off("chat_template continue_final_message truncate_prompt_tokens"),
    **off("chat_template_kwargs", {"enable_thinking": False}, {"thinking": False}),
    # What it may say, and in what form.
    **off("logit_bias allowed_token_ids bad_words bad_words_ids suppress_tokens logits_processors use_beam_search"),
    **off("guided_json guided_regex guided_choice guided_grammar structured_outputs json_schema grammar format"),
    **off("response_format", {"type": "text"}),
    **off("modalities", ["text"]),
    **off("verbosity", "medium"),
    **off("echo stream"),
    # Tools and thinking.
    **off("tools functions"),
    **off("tool_choice function_call", "none", "auto"),
    **off("reasoning_effort", "none"),
    **off("reasoning", {"effort": "none"}, {"enabled": False}),
    **off("thinking", {"type": "disabled"}),
    **off("think enable_thinking thinking_token_budget"),
    # Here even a blank value has an effect.
    **dict.fromkeys(["do_sample", "return_full_text", "skip_special_tokens", "add_generation_prompt"], (None, True)),
    "web_search_options": (None,),
}
# The same in a message. `prefix` and `partial` ask the model to continue the assistant's words.
UNSUPPORTED_IN_MESSAGE: Table = off("refusal audio function_call tool_calls images prefix partial")
MOST_NAMED, LONGEST_NAME = 20, 60  # keeps the header small, whatever is sent


class Unsupported(UserError):
    """A field that asks for something this server cannot do. neutral: the values that have no effect."""

    def __init__(self, name: str, neutral: Iterable[Any]):
        only = [json.dumps(v) for v in neutral if v is not None and v is not False and v not in ("", [], {})]
        en = f"; only {name}={' or '.join(only)} is" if only else ""
        zh = f"，只支持 {name}={' 或 '.join(only)}" if only else ""
        super().__init__(f"{name} is not supported by this server{en}.", f"本服务器不支持 {name}{zh}。")
        self.name, self.neutral = name, tuple(neutral)


def refuse_unsupported(values: dict[str, Any], obeyed: Collection[str], table: Table) -> dict[str, Any]:
    """The fields without those that have no effect; raises `Unsupported` for one that would have an effect."""
    kept = {}
    for name, value in values.items():
        if name in obeyed:
            kept[name] = value
        elif not asks_for_nothing(value, table.get(name, (None,))):
            if name in table:
                raise Unsupported(name, table[name])
            kept[name] = value
    return kept


def asks_for_nothing(value: Any, neutral: Iterable[Any]) -> bool:
    """Whether `value` is one of `neutral`. 0.0 is 0, but neither of them is `false`."""
    if isinstance(value, dict):  # {"effort": null} sets nothing
        value = {name: inner for name, inner in value.items() if inner is not None}
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in neutral)


def ignored_header(names: Iterable[str]) -> dict[str, str]:
    """`{"x-ignored-fields": "a, messages[0].b"}`; empty without names. A field that occurs in many messages is named once."""
    firsts: dict[str, str] = {}
    for name in names:
        firsts.setdefault(re.sub(r"\[\d+\]", "[]", name), quote(name, safe="[].")[:LONGEST_NAME] or '""')
        if len(firsts) > MOST_NAMED:
            return {"x-ignored-fields": ", ".join([*list(firsts.values())[:MOST_NAMED], "..."])}
    return {"x-ignored-fields": ", ".join(firsts.values())} if firsts else {}
