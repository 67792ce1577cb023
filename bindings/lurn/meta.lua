---@meta
-- luacheck: ignore
-- What is written in C, and families whose members have no place of their own in the sources: names, arguments and what
-- they are. Read by help at the prompt (help_source.lua) and by editors; never executed.
error "meta.lua is documentation"

--- A data set in memory or in a file; data.train, data.valid, data.test and data.all are its splits.
---@class lurn.Data

--- Numbers of at most four dimensions, or ids (which count from 1). t[i] is a view, t(i, j) a number; + - * / ^ go
-- element by element and broadcast, a % b is the matrix product. A method with a dash behind its name, t:exp_(), writes
-- into t.
---@class lurn.Tensor

---------------------------------------------------------------- making tensors

--- A tensor of nested lists: lurn.tensor {{1, 2}, {3, 4}}.
function lurn.tensor (lists) end
--- A tensor of ids, integers from 1.
function lurn.ids (lists) end
--- Zeros of that shape: lurn.zeros(2, 3).
function lurn.zeros (...) end
--- Ones of that shape.
function lurn.ones (...) end
--- One value everywhere: lurn.full(2, 3, value).
function lurn.full (...) end
--- The identity matrix (n, n).
function lurn.eye (n) end
--- Numbers from a on in steps, without b.
function lurn.arange (a, b, step) end
--- Whole numbers from a to b, both included.
function lurn.range (a, b) end
--- n numbers from a to b in equal steps, both included.
function lurn.linspace (a, b, n) end
--- Tensors one behind the other along a dimension.
function lurn.cat (list, dim) end
--- Drawn evenly from low (0) to high (1): lurn.uniform(2, 3, {seed, name, low, high}), a function of seed and name.
function lurn.uniform (...) end
--- Drawn from a normal distribution: lurn.normal(2, 3, {seed, name, mean, std}), a function of seed and name.
function lurn.normal (...) end
--- Whether x is a tensor.
function lurn.is_tensor (x) end
--- Whether x is a symbol: a value of a model or a cell that is being traced.
function lurn.is_symbol (x) end

---------------------------------------------------------------- the engine

--- A batch of tensors: {x =, y =, mask =, lengths =, ...}, x (T,B,D) or ids (T,B).
function lurn.batch (fields) end
--- Threads that play from now on; without n how many there are.
function lurn.threads (n) end
--- Who does the products: "lurn" or "openblas"; without a name, who does.
function lurn.engine (name) end
--- A prompt in this interpreter: `require "lurn".repl()`.
function lurn.repl (options) end
--- The instance of the other precision: the same module on numbers of 32 bits.
lurn.f32 = nil
--- The instance of the other precision: the same module on numbers of 64 bits.
lurn.f64 = nil
--- A script that returns lurn.experiment {...}: nil, message, code when it cannot be read.
function lurn.load (path) end
--- "f32" or "f64": what this instance's numbers are.
lurn.precision = nil
--- The version of lurn.
lurn.version = nil

---------------------------------------------------------------- modules

--- Losses: lurn.loss.cross_entropy(), mse and others, for lurn.stack {loss = ...}.
lurn.loss = nil
--- Optimisers: lurn.optim.adam(model, {lr = 1e-3}) and others.
lurn.optim = nil
--- Metrics of predictions, by name in model:evaluate and run:fit {metrics = ...}.
lurn.metrics = nil
--- Cells of the literature as equations: lurn.cells.peephole {hidden = 64} is a layer.
lurn.cells = nil
--- Synthetic tasks of the literature, as data sets.
lurn.tasks = nil
--- Numbers as bars of text.
lurn.plot = nil
--- Functions of the batch: layers with and without recurrence.
lurn.layers = nil
--- Convolutions, pooling, images.
lurn.conv = nil
--- Data sets from files, texts and tables.
lurn.data = nil
--- Random values as functions of seed, purpose, name and position; no stream.
lurn.rng = nil
--- HDF5 documents: lurn.h5.open(path), lurn.h5.create(path).
lurn.h5 = nil
--- JSON with whole numbers and all digits: lurn.json.encode(value), lurn.json.decode(text).
lurn.json = nil
--- lurn.experiment {name =, params =, run =}: what `lurn run` and a prompt start.
lurn.experiment = nil
--- Text that a language model writes: lurn.sample(model, vocab, {length =, temperature =, top_k =, start =, seed =}).
lurn.sample = nil
--- Runs of experiments: lurn.run.new; experiment:start is the usual way to one.
lurn.run = nil
--- What a run file records of versions, machine, data and sources.
lurn.manifest = nil
--- Progress lines on stderr.
lurn.progress = nil

--- A number in (0, 1) for (seed, purpose, name, i).
function lurn.rng.uniform (seed, purpose, name, i) end
--- A number of the standard normal distribution for (seed, purpose, name, i).
function lurn.rng.normal (seed, purpose, name, i) end
--- A whole number from 0 to n - 1 for (seed, purpose, name, i).
function lurn.rng.below (seed, purpose, name, i, n) end
--- The numbers 1 to n in an order that (seed, purpose, name) decides.
function lurn.rng.permutation (seed, purpose, name, n) end
--- A new HDF5 document to be written; it appears when it is committed.
function lurn.h5.create (path) end
--- An HDF5 document to be read: r:read(name), r:attr(object, name), r:list(group).
function lurn.h5.open (path) end

---------------------------------------------------------------- optimisers

--- Stochastic gradient descent, with momentum and Nesterov's (torch.optim.SGD).
function lurn.optim.sgd (model, options) end
--- RMSprop (Tieleman & Hinton 2012, torch.optim.RMSprop).
function lurn.optim.rmsprop (model, options) end
--- Adagrad (Duchi et al. 2011, torch.optim.Adagrad).
function lurn.optim.adagrad (model, options) end
--- Adadelta (Zeiler 2012, torch.optim.Adadelta).
function lurn.optim.adadelta (model, options) end
--- Adam (Kingma & Ba 2015, torch.optim.Adam).
function lurn.optim.adam (model, options) end
--- Adam with decoupled weight decay (Loshchilov & Hutter 2019, torch.optim.AdamW).
function lurn.optim.adamw (model, options) end

---------------------------------------------------------------- functions of symbols, tensors and numbers

--- e^x.
function lurn.exp (x) end
--- e^x - 1, exact for small x.
function lurn.expm1 (x) end
--- The natural logarithm.
function lurn.log (x) end
--- log(1 + x), exact for small x.
function lurn.log1p (x) end
--- The square root.
function lurn.sqrt (x) end
--- The cosine.
function lurn.cos (x) end
--- The sine.
function lurn.sin (x) end
--- The error function.
function lurn.erf (x) end
--- The absolute value.
function lurn.abs (x) end
--- -1, 0 or 1.
function lurn.sign (x) end
--- x itself.
function lurn.identity (x) end
--- The hyperbolic tangent.
function lurn.tanh (x) end
--- 1 / (1 + e^-x).
function lurn.sigmoid (x) end
--- max(x, 0).
function lurn.relu (x) end
--- x where it is above 0, else a hundredth of it.
function lurn.leaky_relu (x) end
--- x where it is above 0, else e^x - 1 (Clevert et al. 2016).
function lurn.elu (x) end
--- ELU, scaled so that activations keep mean 0 and variance 1 (Klambauer et al. 2017).
function lurn.selu (x) end
--- x times the normal distribution's share below x (Hendrycks & Gimpel 2016).
function lurn.gelu (x) end
--- x sigmoid(x).
function lurn.silu (x) end
--- log(1 + e^x).
function lurn.softplus (x) end
--- x / (1 + |x|).
function lurn.softsign (x) end
--- x / 6 + 1 / 2, cut to 0 and 1.
function lurn.hard_sigmoid (x) end
--- x, cut to -1 and 1.
function lurn.hard_tanh (x) end
--- The larger of two, element by element.
function lurn.maximum (a, b) end
--- The smaller of two, element by element.
function lurn.minimum (a, b) end
--- 1 where a > b, else 0.
function lurn.gt (a, b) end
--- 1 where a >= b, else 0.
function lurn.ge (a, b) end
--- 1 where a = b, else 0.
function lurn.eq (a, b) end
--- log of the sum of e^x over the columns.
function lurn.logsumexp (x) end
--- The number of the largest column, from 1.
function lurn.argmax (x) end
--- The largest of each window of places of an image: lurn.max_pool2d {size = 2}, or a number.
function lurn.max_pool2d (options) end
--- The mean of each window of places of an image: lurn.avg_pool2d {size = 2}, or a number.
function lurn.avg_pool2d (options) end

---------------------------------------------------------------- methods of tensors

--- The absolute value.
function tensor:abs (...) end
--- Sum with a tensor or a number.
function tensor:add (...) end
--- Place of the largest number, from 1; along a dimension.
function tensor:argmax (...) end
--- Place of the smallest number, from 1; along a dimension.
function tensor:argmin (...) end
--- Rounded up.
function tensor:ceil (...) end
--- Cut to the range from low to high.
function tensor:clamp (...) end
--- A copy with memory of its own.
function tensor:clone (...) end
--- The same numbers without gaps: itself, or a copy.
function tensor:contiguous (...) end
--- Takes over the numbers of another tensor of that shape.
function tensor:copy (...) end
--- The cosine.
function tensor:cos (...) end
--- The determinant of a square matrix.
function tensor:det (...) end
--- How many dimensions there are.
function tensor:dim (...) end
--- Quotient with a tensor or a number.
function tensor:div (...) end
--- "real" or "index".
function tensor:dtype (...) end
--- Eigenvalues (real and imaginary parts) of a square matrix.
function tensor:eig (...) end
--- Eigenvalues and eigenvectors of a symmetric matrix.
function tensor:eigh (...) end
--- 1 where both are equal, else 0.
function tensor:eq (...) end
--- Whether both have the same shape and numbers, within a tolerance: true, or false and a sentence.
function tensor:equal (...) end
--- The error function.
function tensor:erf (...) end
--- e^x.
function tensor:exp (...) end
--- A view of a larger shape in which dimensions of 1 repeat.
function tensor:expand (...) end
--- e^x - 1, exact for small x.
function tensor:expm1 (...) end
--- Makes every element that value.
function tensor:fill (...) end
--- Rounded down.
function tensor:floor (...) end
--- 1 where it is at least the other, else 0.
function tensor:ge (...) end
--- One number: t:get(i, j).
function tensor:get (...) end
--- 1 where it is above the other, else 0.
function tensor:gt (...) end
--- The same whole numbers as ids.
function tensor:ids (...) end
--- The inverse of a square matrix.
function tensor:inv (...) end
--- Whether the numbers lie without gaps.
function tensor:is_contiguous (...) end
--- 1 where it is a finite number, else 0.
function tensor:isfinite (...) end
--- 1 where it is NaN, else 0.
function tensor:isnan (...) end
--- The number of a tensor that has one.
function tensor:item (...) end
--- 1 where it is at most the other, else 0.
function tensor:le (...) end
--- The natural logarithm.
function tensor:log (...) end
--- log(1 + x), exact for small x.
function tensor:log1p (...) end
--- Logarithm of softmax along the last dimension.
function tensor:log_softmax (...) end
--- log of the sum of e^x, over everything or a dimension.
function tensor:logsumexp (...) end
--- 1 where it is below the other, else 0.
function tensor:lt (...) end
--- The matrix product, as a % b.
function tensor:matmul (...) end
--- The largest number, over everything or a dimension.
function tensor:max (...) end
--- The larger of two, element by element.
function tensor:maximum (...) end
--- The mean, over everything or a dimension.
function tensor:mean (...) end
--- The smallest number, over everything or a dimension.
function tensor:min (...) end
--- The smaller of two, element by element.
function tensor:minimum (...) end
--- The rest of a division.
function tensor:mod (...) end
--- Product with a tensor or a number, element by element.
function tensor:mul (...) end
--- A view of n places of a dimension: t:narrow(dim, first, n).
function tensor:narrow (...) end
--- 1 where they differ, else 0.
function tensor:ne (...) end
--- -x.
function tensor:neg (...) end
--- Root of the sum of squares, over everything or a dimension.
function tensor:norm (...) end
--- How many elements there are.
function tensor:numel (...) end
--- Power, element by element.
function tensor:pow (...) end
--- Product, over everything or a dimension.
function tensor:prod (...) end
--- Q and R of a matrix.
function tensor:qr (...) end
--- The same numbers as reals.
function tensor:real (...) end
--- 1 / x.
function tensor:reciprocal (...) end
--- max(x, 0).
function tensor:relu (...) end
--- The same numbers in another shape; -1 stands for what is left.
function tensor:reshape (...) end
--- Rounded to the nearest whole number.
function tensor:round (...) end
--- A view of one place of a dimension: t:select(dim, i).
function tensor:select (...) end
--- Writes one number: t:set(i, j, value).
function tensor:set (...) end
--- 1 / (1 + e^-x).
function tensor:sigmoid (...) end
--- -1, 0 or 1.
function tensor:sign (...) end
--- The sine.
function tensor:sin (...) end
--- The size of a dimension, or the shape.
function tensor:size (...) end
--- e^x / sum of e^x along the last dimension.
function tensor:softmax (...) end
--- log(1 + e^x).
function tensor:softplus (...) end
--- x with A x = b.
function tensor:solve (...) end
--- The square root.
function tensor:sqrt (...) end
--- x times x.
function tensor:square (...) end
--- A view without dimensions of 1.
function tensor:squeeze (...) end
--- The standard deviation (of n - 1), over everything or a dimension.
function tensor:std (...) end
--- A view of places a to b of the first dimension: t:sub(a, b).
function tensor:sub (...) end
--- Difference with a tensor or a number.
function tensor:subtract (...) end
--- Difference with a tensor or a number, written into the tensor itself; t:sub without a dash is a view.
function tensor:sub_ (...) end
--- The sum, over everything or a dimension.
function tensor:sum (...) end
--- Singular value decomposition of a matrix: U, S, V.
function tensor:svd (...) end
--- The transposed matrix, a view.
function tensor:t (...) end
--- The hyperbolic tangent.
function tensor:tanh (...) end
--- Nested lists of the numbers.
function tensor:totable (...) end
--- A view with two dimensions swapped.
function tensor:transpose (...) end
--- A view with a dimension of 1 more.
function tensor:unsqueeze (...) end
--- The variance (of n - 1), over everything or a dimension.
function tensor:var (...) end
--- a where this is not 0, else b: c:where(a, b).
function tensor:where (...) end
