"""Words of servers for a request that does not fit, and words that only look like them."""

import pytest

from agent_eval.models.overflow import says_full

FULL = [
    (
        '{"error":{"message":"This model\'s maximum context length is 4097 tokens. However, your '
        'messages resulted in 4294 tokens.","code":"context_length_exceeded"}}'
    ),
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300001",
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum context "
        "length is 4096 tokens and your request has 2104 input tokens (2000 > 4096 - 2104)."
    ),
    "You requested 65535 output tokens. This model's maximum context length is 128000 tokens",
    (
        '{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size '
        '(4096 tokens), try increasing it","type":"exceed_context_size_error","n_ctx":4096}}'
    ),
    '{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}',
    "Requested tokens (2285) exceed context window of 2048",
    "prompt is too long: 210094 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "Input is too long for requested model.",
    "prompt too long; exceeded max context length by 4 tokens",
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length"
    ),
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
    "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000",
    "Your request exceeded model token limit: 8192",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "The total length of all messages is too long.",
]

OTHER = [
    "",
    "Unsupported parameter: 'max_tokens'",
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
    (
        "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000. The "
        "input or output tokens must be reduced in order to run successfully."
    ),
    "Rate limit reached: maximum context length per minute",
    "Too many tokens, please wait before trying again.",
    "You exceeded your current quota, please check your plan",
    "Invalid API key",
    "model 'x' not found",
    "tool call id is too long",
]


@pytest.mark.parametrize("words", FULL)
def test_a_full_window_is_recognised(words: str) -> None:
    assert says_full(words)
    assert says_full(words.upper())


@pytest.mark.parametrize("words", OTHER)
def test_other_troubles_are_not_taken_for_it(words: str) -> None:
    assert not says_full(words)
