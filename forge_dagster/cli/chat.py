"""`forge chat`: talk with a recipe's model in the terminal."""

from typing import Annotated

import typer

from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.cli.serve import opened
from forge_dagster.errors import UserError


def command(
    recipe: Annotated[str, typer.Argument(help="RECIPE: the release that serves; RECIPE/release@DIGEST: that one.")],
    message: Annotated[
        str | None, typer.Option(help="Ask this one question instead of opening a conversation.")
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 answers with the likeliest token each time.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 64,
    json: Json = False,
) -> None:
    """Ask the released model; each question stands alone. Only a release that verifies answers."""
    if json and message is None:
        raise UserError("--json without --message", rule="programs ask one question a call", mend="add --message")
    served = opened(recipe)

    from forge_dagster.model.conversation import Conversation

    conversation = Conversation(served.folder)

    def answer(question: str) -> str:
        return conversation.ask(question, max_new_tokens=max_new_tokens, temperature=temperature)

    if message is not None:
        reply = answer(message)
        if json:
            print_json({"release": str(served), "question": message, "answer": reply})
        else:
            out.print(reply, markup=False)
        return
    err.print(f"{served.key}@{served.digest[:12]}; an empty line or Ctrl-D ends")
    while True:
        try:
            question = input("> ").strip()
        except EOFError:
            return
        if not question:
            return
        out.print(answer(question), markup=False)
