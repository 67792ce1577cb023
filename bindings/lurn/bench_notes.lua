--- What stands below the tables of the page that `lurn bench --write` makes: how each number came about.

return {
  step = [[
A step of a training row is forward, loss, backpropagation through time, clipping by global norm 5 and Adam, on random
real inputs (T, B, D): the first six rows of each cell. The head is a linear layer: one output per step and mean
squared error (online, sweep-small), one output at the last step (adding), 65 classes per step and cross-entropy
(char-rnn, ptb-medium), 16 outputs per step and mean squared error (large). PyTorch runs `nn.LSTM`, `nn.GRU`, `nn.RNN`
and `torch.optim.Adam`, eagerly and as installed; "torch loop" is a peephole LSTM written as a Python loop over time
with the input's products taken out of it. "10,000 words" has an embedding of 10,000 words and as many classes. The
char-rnn epoch is 300,000 characters (embedding 128, two layers of 128, 65 characters), extrapolated from at least 20
steps on one batch; a whole one, with its data read from a file, stands under "loader stall". KANN is in neither
Debian nor PyPI: 13.6 s and 150 MB for that epoch are the figures that the design measured on its own machine. "One
character" is a step of a stream at batch 1, with its output handed over. The chorales are an epoch of 229 sequences,
32 whole ones a batch, of the lengths that the JSB chorales have (25 to 129 steps), 88 notes, an LSTM of 128 and
binary cross-entropy; PyTorch packs them (`pack_sequence`), so both sides play each live frame once, and the ratio is
that per live frame.

- **lurn ms, peer ms**: medians of wall time with one thread; beside them those with two, where they got turns.
- **ratio**: how many times faster lurn is, each at its better number of threads, the median of the ratios turn by
  turn; **spread**: their middle half; **CPU ratio**: the same of user and system time.
- **first ms**: building the model, drawing its weights and its first step, in a process of its own (PyTorch's: after
  its import); **MB**: most memory of that process; **peer MB**: of the peer's, whose every row has a process, too.

Why goals are missed where kernels are AVX2 (2026-11-26, FMA peak 92 GF/s; the goals were set for a core of 240 GF/s,
beside Debian's PyTorch 1.13, which stands under "Other peers"). `build/f32/check_kernels --bench` gives products 94 %
of the peak at best (86 GF/s, 50 rows, 128 to 512), so a goal whose **needs** are about that or above cannot be met.
Where they are below it, everything else would have to be nearly free; PyTorch's times, and so the needs, differ from
day to day more than lurn's do. A clock around each unit sees 61 % of an LSTM's step in products at online, 78 % at
sweep-small, 77 % at adding, 87 % at char-rnn, 94 % at ptb-medium and large. Tried in turn with what there is:

- all maps left out, which is what fusing them with products could save at most: 0.72 of the time at online, 0.84 at
  sweep-small, 0.83 at adding, 0.91 at char-rnn, where the goals ask for 0.2, 0.4, 0.8 to 0.9 and 0.7;
- copies of states left out likewise: 0.98 to 1.00;
- strips of 256, 384, 512 or 768 numbers instead of 1024: 0.98 to 1.02 of what maps take (char-rnn, one layer);
- spans of 1, 2, 3, 6 or 10 steps instead of 4 there: 0.99 to 1.05 of forward products and maps;
- gradients of weights and of looked-up rows taken in spans of 3, 5 or 10 steps, while what they read is in the
  second-level cache: 0.98 of a step of one small layer on one thread; wider gradients would come and go more often.
  What was tried with the products themselves, which are nearly all of it at ptb-medium and large, stands below the
  layers alone.]],

  layers = [[
Forward and backward pass of the recurrent layers alone between an input and a gradient of the output that are given,
with the gradients of all weights and of the input: no head, no loss, no update. oneDNN plays its LSTM,
linear-before-reset GRU or vanilla RNN primitive, forward training and backward, with the reorders of the weights into
its formats, and of their gradients back, that a changed model needs at each step; lurn packs its weights anew at each
step likewise, and what it does to take the given gradient in (a product and a sum over the output) is counted as
lurn's. **time** is lurn's share of oneDNN's time at the same number of threads: below 1 lurn is faster. Both are held
to **goal**; **<= 1** is the limit that must not be passed.

Where the time goes at ptb-medium and large where kernels are AVX2 (2026-11-26, FMA peak 92 GF/s, others shared the
machine): products are 95 % of what a clock around each unit sees. `build/f32/check_kernels --bench`, the best of six,
gives those that read weights 84 GF/s (20 rows, 650 to 2600), 86 GF/s (50 rows, 128 to 512) and 79 GF/s (64 rows, 1024
to 4096), and the weights' gradients, a third of the operations, 82 GF/s (700 rows, 650 to 2600), 85 GF/s (2500 rows,
128 to 512) and 77 GF/s (3200 rows, 1024 to 4096), 83 to 93 % of the peak. What is left is in rows of a gradient that
are a multiple of 4096 bytes apart: at 1024 to 1024 they cost 5 %. Tried beside what there is, turn by
turn, and left out:

- gradients whose next tile is read before the last one is stored: 0.97 to 1.01 where rows are 4096 bytes apart, 1.00 to
  1.04 elsewhere;
- gradients in chunks of 320 or 384 frames instead of 256: 0.99 to 1.02; in strips half as long: 0.99 to 1.02;
- products that take weights in parts of 256 to 512 rows, which stay in the first-level cache: 0.99 to 1.11;
- spans of at least 96 rows where one step's sums exceed the second-level cache: layers take 0.99 (tanh ptb-medium, 35
  turns) and 1.03 times as long (LSTM large, 8 turns);
- blocks that ask for no weights ahead: 0.97 to 1.05.]],

  others = [[
The same training steps by other peers, each at its better number of threads, with turns of their own. JAX compiles a
step (`jit`) of a `lax.scan` with the input's products taken out of it; what compiling takes is not counted.]],

  own = [[
"lurn lstm" is lurn's built-in LSTM as the peer of the same cell written in Lua. "Cells" are those of `lurn.cells`
with as many inputs as units (64, then 128) and the output of the last step alone, beside lurn's built-in LSTM of that
size, on one thread. **cost**: CPU time per operation of the matrix products, in times the LSTM's: how much dearer a
step is than one of an LSTM with equal products. "Trace + plan" builds the model and plans its memory, without drawing
its weights: the quickest of many, less the quickest drawing. The diagnosis is `model:diagnose` of a char-rnn batch
with a training step of one thread as its peer; taken every 100 steps it costs 1 % of the training time divided by the
ratio, below 3 % where the goal is met. The digest is a link of the chain that `lurn verify` compares, made every 100
steps and at evaluations; file digests are those of all tensors in a checkpoint.]],

  figure = [[
**Loader stall**: the share of one epoch of char-rnn training (one thread, from a data set on disk) in which it waits
for its next batch. **Start-up**: from the shell's command `lurn run` on a prepared data set until its first step is
done, run file and all, and until that step begins; beside it PyTorch from its interpreter's start to its first step of
the same case. **Prompt**: from the command `lurn` until its prompt stands on a pseudo-terminal; **completion**: the key
Tab among 10,000 names; **progress**: what the line of progress adds to `run:log`, as a share of a sweep-small LSTM
step. **Threads**: an LSTM's whole step on the number of threads that is quickest, and how many times faster each number
is than one thread.]],

  growth = [[
An LSTM's training step on one thread (T 50, B 32, D and H 64, 1 output; with H, D grows as well), the least CPU time
of seven. The power is the slope of log time over log size; 1 is linear. **plan**: what the model's plan says before
the first step, and weights, gradients, moments and the batch; **grown**: what the process has grown by. A process
should stay within its plan and 40 MB.]],

  all = [[
- **GF/s**: operations of the matrix products alone, by the CPU time of lurn's one thread; **peak**: their share of
  what one core's fused multiply-adds reach here in a loop over registers.
- **turns**: how often the sides took turns. **load average**: work in line for the cores. Above 1 before the start
  others shared the machine: compare CPU columns.
- **goal, met**: what the design hoped for. A goal that is not met says so. **needs**: the share of the peak (of as many
  cores as lurn had threads) at which the matrix products would have to run, were there nothing else to do, for the goal
  to be met: at 100 % and above no program does that on this machine.
]],
}
