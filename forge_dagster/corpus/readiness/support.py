"""What a number of training tokens supports: the arithmetic, whose figures it rests on, and what is our judgement."""

from typing import Literal, NamedTuple

from forge_dagster.corpus.readiness.assessment import Route


class Reference(NamedTuple):
    """A work whose figures are used."""

    title: str
    address: str


TOKENS_PER_PARAMETER = 20  # Hoffmann et al. 2022, compute-optimal
EPOCHS = 4  # Muennighoff et al. 2023: as good as new text up to here
SMALL_MODEL = 124_000_000  # parameters of GPT-2 small
NARROW_MODEL = 1_000_000  # parameters
BATCH_TOKENS = 524_288  # of one update in continued pre-training
ADAPTED_TOKENS = 100_000_000
FEWEST_UPDATES = 100
ADAPTER_ROW = 24 * (4 * (2048 + 2048) + 3 * (2048 + 8192))
"""Parameters a rank of an adapter on every matrix of a model of 1.7 billion: 24 layers, width 2048, 8192 inside."""
BITS_PER_PARAMETER = 2  # Allen-Zhu and Li 2024
BITS_PER_TOKEN = 1  # Schulman et al. 2025
HIGHEST_RANK = 256  # of adapters in use
LORA_TOKENS, STYLE_TOKENS = 1_000_000, 100_000

REFERENCES = {
    "Hoffmann et al. 2022": Reference(
        title="Training Compute-Optimal Large Language Models",
        address="https://arxiv.org/abs/2203.15556",
    ),
    "Muennighoff et al. 2023": Reference(
        title="Scaling Data-Constrained Language Models",
        address="https://arxiv.org/abs/2305.16264",
    ),
    "Eldan and Li 2023": Reference(
        title="TinyStories: How Small Can Language Models Be and Still Speak Coherent English?",
        address="https://arxiv.org/abs/2305.07759",
    ),
    "Gururangan et al. 2020": Reference(
        title="Don't Stop Pretraining: Adapt Language Models to Domains and Tasks",
        address="https://arxiv.org/abs/2004.10964",
    ),
    "Ibrahim et al. 2024": Reference(
        title="Simple and Scalable Strategies to Continually Pre-train Large Language Models",
        address="https://arxiv.org/abs/2403.08763",
    ),
    "Nguyen et al. 2023": Reference(
        title="AstroLLaMA: Towards Specialized Foundation Models in Astronomy",
        address="https://arxiv.org/abs/2309.06126",
    ),
    "Pan et al. 2024": Reference(
        title="AstroMLab 2: AstroLLaMA-2-70B Model and Benchmarking Specialised LLMs for Astronomy",
        address="https://arxiv.org/abs/2409.19750",
    ),
    "Yang et al. 2025": Reference(
        title="Synthetic Continued Pretraining",
        address="https://arxiv.org/abs/2409.07431",
    ),
    "Hu et al. 2021": Reference(
        title="LoRA: Low-Rank Adaptation of Large Language Models",
        address="https://arxiv.org/abs/2106.09685",
    ),
    "Biderman et al. 2024": Reference(
        title="LoRA Learns Less and Forgets Less",
        address="https://arxiv.org/abs/2405.09673",
    ),
    "Schulman et al. 2025": Reference(
        title="LoRA Without Regret",
        address="https://thinkingmachines.ai/blog/lora/",
    ),
    "Allen-Zhu and Li 2024": Reference(
        title="Physics of Language Models: Part 3.3, Knowledge Capacity Scaling Laws",
        address="https://arxiv.org/abs/2404.05405",
    ),
    "Zhou et al. 2023": Reference(
        title="LIMA: Less Is More for Alignment",
        address="https://arxiv.org/abs/2305.11206",
    ),
    "Ovadia et al. 2023": Reference(
        title="Fine-Tuning or Retrieval? Comparing Knowledge Injection in LLMs",
        address="https://arxiv.org/abs/2312.05934",
    ),
    "Kandpal et al. 2022": Reference(
        title="Large Language Models Struggle to Learn Long-Tail Knowledge",
        address="https://arxiv.org/abs/2211.08411",
    ),
    "Gowda and May 2020": Reference(
        title="Finding the Optimal Vocabulary Size for Neural Machine Translation",
        address="https://arxiv.org/abs/2004.02334",
    ),
}
FROM_SCRATCH = "from scratch, 124 M parameters"
THRESHOLDS = {
    "LoRA, style": STYLE_TOKENS,
    "LoRA": LORA_TOKENS,
    "from scratch, narrow": NARROW_MODEL * TOKENS_PER_PARAMETER // EPOCHS,
    "continued pre-training, limited": FEWEST_UPDATES * BATCH_TOKENS // EPOCHS,
    "continued pre-training": ADAPTED_TOKENS,
    FROM_SCRATCH: SMALL_MODEL * TOKENS_PER_PARAMETER // EPOCHS,
}
"""Tokens from which each route opens."""

Verdict = Literal["yes", "partly", "no"]


def routes(tokens: int) -> tuple[Route, ...]:
    """Every route with its verdict for this many distinct training tokens."""
    return (_scratch(tokens), _continued(tokens), _lora(tokens), _retrieval())


def verdict(tokens: int) -> str:
    """The answer in one sentence."""
    scratch, continued, lora, _ = routes(tokens)
    if scratch.verdict == "yes":
        return "Enough to train a small model from scratch; continued pre-training gives a better one for less."
    if continued.verdict == "yes":
        return "Enough for continued pre-training of an open model; not for a general model from scratch."
    if continued.verdict == "partly":
        return "Enough for LoRA on an open model; continued pre-training is worth a try; too little from scratch."
    if lora.verdict == "yes":
        return "Enough for LoRA on an open model; too little for continued pre-training or for a model from scratch."
    if lora.verdict == "partly":
        return "Enough to teach an open model form and style with LoRA; look facts up by retrieval."
    return "Not enough to train on; search these documents by retrieval, or bring more."


def amount(number: float) -> str:
    """A count as people say it, to three digits."""
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _power(number: float) -> str:
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return f"{mantissa} x 10^{int(exponent)}"


def _scratch(tokens: int) -> Route:
    once, repeated = tokens / TOKENS_PER_PARAMETER, EPOCHS * tokens / TOKENS_PER_PARAMETER
    given: Verdict = "yes" if repeated >= SMALL_MODEL else "partly" if repeated >= NARROW_MODEL else "no"
    says = {
        "yes": "A small general model is within reach, if the languages and subjects are as wide as its use.",
        "partly": "A narrow model that writes as these documents do and knows little else.",
        "no": "A model of this size has no language. A larger one learns the documents by heart in many passes: "
        "good for trying the pipeline, and for questions close to the text.",
    }
    return Route(
        name="train from scratch",
        verdict=given,
        says=says[given],
        arithmetic=f"{amount(tokens)} tokens / {TOKENS_PER_PARAMETER} = {amount(once)} parameters; in {EPOCHS} passes "
        f"{amount(repeated)}, for 6 x {amount(repeated)} x {amount(EPOCHS * tokens)} = "
        f"{_power(6 * repeated * EPOCHS * tokens)} operations. {amount(SMALL_MODEL)} parameters ask for "
        f"{amount(THRESHOLDS[FROM_SCRATCH])} tokens.",
        sources=("Hoffmann et al. 2022", "Muennighoff et al. 2023", "Eldan and Li 2023"),
        judgement=f"a model of general use has at least {amount(SMALL_MODEL)} parameters (GPT-2 small), a narrow one "
        f"{amount(NARROW_MODEL)}.",
    )


def _continued(tokens: int) -> Route:
    updates = EPOCHS * tokens / BATCH_TOKENS
    given: Verdict = "yes" if tokens >= ADAPTED_TOKENS else "partly" if updates >= FEWEST_UPDATES else "no"
    says = {
        "yes": "An open model takes up the subject and its words.",
        "partly": "Perplexity falls; answers may not improve, and have got worse. Measure before and after.",
        "no": "Too few updates to move a model, and each fact too seldom told. Text written anew from the documents "
        "helped at this size: 1.3 M tokens became 455 M.",
    }
    return Route(
        name="continued pre-training",
        verdict=given,
        says=says[given],
        arithmetic=f"{EPOCHS} passes x {amount(tokens)} tokens / {amount(BATCH_TOKENS)} an update = "
        f"{amount(round(updates))} updates; replay of 5 to 25 % old text adds {amount(0.05 * tokens)} to "
        f"{amount(0.25 * tokens)} tokens a pass. "
        "Seen to work: 2.1 to 8.1 B tokens. 77 M lowered perplexity by 30 %, but answers got no better.",
        sources=(
            "Gururangan et al. 2020",
            "Ibrahim et al. 2024",
            "Nguyen et al. 2023",
            "Pan et al. 2024",
            "Yang et al. 2025",
        ),
        judgement=f"the limits of {amount(ADAPTED_TOKENS)} tokens and of {FEWEST_UPDATES} updates.",
    )


def _lora(tokens: int) -> Route:
    rank = tokens * BITS_PER_TOKEN / BITS_PER_PARAMETER / ADAPTER_ROW
    given: Verdict = (
        "no" if tokens < STYLE_TOKENS else "yes" if tokens >= LORA_TOKENS and rank <= HIGHEST_RANK else "partly"
    )
    says = {
        "yes": "An adapter holds what this text tells. It learns less than full training, and forgets less.",
        "partly": "Form and tone can be taught, facts hardly."
        if tokens < LORA_TOKENS
        else "More text than an adapter holds: continue pre-training on all weights.",
        "no": "Too little text to draw good examples from.",
    }
    return Route(
        name="LoRA",
        verdict=given,
        says=says[given],
        arithmetic=f"{amount(tokens)} tokens x {BITS_PER_TOKEN} bit / {BITS_PER_PARAMETER} bits a parameter = "
        f"{amount(tokens * BITS_PER_TOKEN / BITS_PER_PARAMETER)} adapter parameters; at {amount(ADAPTER_ROW)} a rank "
        f"(1.7 B model, every matrix) that is rank {max(1, round(rank)):,}. "
        "For style 1,000 good question and answer pairs were enough.",
        sources=(
            "Hu et al. 2021",
            "Allen-Zhu and Li 2024",
            "Schulman et al. 2025",
            "Biderman et al. 2024",
            "Zhou et al. 2023",
        ),
        judgement=f"the limits of {amount(STYLE_TOKENS)} tokens for style and {amount(LORA_TOKENS)} for more.",
    )


def _retrieval() -> Route:
    return Route(
        name="no training: retrieval",
        verdict="yes",
        says="Whatever the size, an open model that looks facts up in these documents answers them better than one "
        "trained on them; both together are better still.",
        arithmetic="",
        sources=("Ovadia et al. 2023", "Yang et al. 2025"),
        judgement="",
    )
