"""What servers say when a request does not fit the model's window.

There is no common code for it: each server has words of its own, under HTTP 400, 413, 422 or 500,
or in the body of a 200. A limit of tokens per minute is told apart: that one passes.
"""

import re

_WORDS = (
    r"context[_ ](length|window|size|limit)[_ ](has been )?exceeded",  # OpenAI, Groq, ...
    r"maximum (context|model|prompt) length",  # OpenAI, vLLM, DeepSeek, SGLang, xAI
    r"exceeds? (the |this |your )?(model'?s? )?(maximum |available |configured )*context",
    r"exceed_context_size",  # llama.cpp
    r"(input|prompt) (is )?too long",  # Anthropic, Bedrock, Ollama
    r"input length and .{1,30} exceed context limit",  # Anthropic, with the reply's room
    r"input token count .{0,40}exceeds the maximum",  # Google
    r"input tokens exceed the configured limit",  # OpenAI, newer models
    r"(longer|greater|larger) than the (model'?s? )?(maximum )?context",  # SGLang
    r"context length of only",  # LM Studio
    r"too large for model with \d+ maximum context",  # Mistral
    r"(messages|inputs?) (is |are )?too long",  # Perplexity
    r"tokens? \+ .{0,20}max_new_tokens.{0,20} must be <=",  # Text Generation Inference
    r"reduce the length of (the|your) (messages|prompt|input)",
    r"(exceeded|exceeds) (the )?model token limit",  # Moonshot
    r"too many tokens: (the )?(total number|size limit)",  # Cohere
    r"requested tokens? .{0,20}exceed context window",  # llama-cpp-python
    r"range of input length should be",  # DashScope
)
_FULL = re.compile("|".join(_WORDS), re.IGNORECASE)
_PASSES = re.compile(r"per[- ](min|day|hour)|rate.?limit|throttl|quota|\bTPM\b", re.IGNORECASE)


def says_full(words: str) -> bool:
    """Whether an error in a server's words means that the prompt, or prompt and reply, is too long.

    Words about a rate of tokens do not count.
    """
    return bool(_FULL.search(words)) and not _PASSES.search(words)
