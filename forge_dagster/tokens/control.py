"""The control tokens, their ids and the chat template: what a model reads that no document can write."""

PAD = "<|pad|>"
END_OF_TEXT = "<|end_of_text|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
END = "<|end|>"

CONTROL = (PAD, END_OF_TEXT, USER, ASSISTANT, END)
"""In order of their ids, 0 to 4."""

PAD_ID, END_OF_TEXT_ID, USER_ID, ASSISTANT_ID, END_ID = range(len(CONTROL))
ENDS = (END_OF_TEXT_ID, END_ID)
"""Tokens that end an answer."""

CHAT_TEMPLATE_VERSION = 1
"""Goes up with every change of the template; a model says in its tokenizer's report which one it learned."""

# `generation` marks what the assistant says, so that a trainer can take its loss on these tokens alone.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    f"{{{{- '{USER}' + message['content'] + '{END}' -}}}}"
    "{%- elif message['role'] == 'assistant' -%}"
    f"{{{{- '{ASSISTANT}' -}}}}{{%- generation -%}}{{{{- message['content'] + '{END}' -}}}}{{%- endgeneration -%}}"
    "{%- else -%}"
    "{{- raise_exception('role ' + message['role'] + ': this chat knows user and assistant') -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    f"{{%- if add_generation_prompt -%}}{{{{- '{ASSISTANT}' -}}}}{{%- endif -%}}"
)
