"""The job that all peers do: a GPT of about 12M parameters, 8,192 tokens a step. Each side says it in its own words."""

ROWS, LENGTH = 32, 256
TOKENS = ROWS * LENGTH  # of one step
VOCABULARY, LAYERS, WIDTH, HEAD = 4096, 6, 384, 64
FEED_FORWARD = 1024  # of SwiGLU's three matrices: as many weights as GPT-2's two of 4 x 384
WARM_UP = 2  # steps that do not count: compilation, first allocations

# (inputs, outputs, how many) of the linear layers, those that read the same input side by side.
PRODUCTS = (
    (WIDTH, 3 * WIDTH, LAYERS),
    (WIDTH, WIDTH, LAYERS),
    (WIDTH, 2 * FEED_FORWARD, LAYERS),
    (FEED_FORWARD, WIDTH, LAYERS),
    (WIDTH, VOCABULARY, 1),
)
WEIGHTS = sum(inputs * outputs * count for inputs, outputs, count in PRODUCTS)
STEP_FLOPS = 6 * WEIGHTS * TOKENS  # forward, and backward to the inputs and to the weights: two for each weight
ATTENTION_FLOPS = 6 * LAYERS * WIDTH * LENGTH * TOKENS  # scores and values the same three ways, the causal half
