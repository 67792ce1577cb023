--- The verb predict: a trained model's outputs into a table (CSV) or a file of arrays (HDF5).
--
-- The model and the data are read as `lurn eval` reads them: no line of the run's script is run.

return function (cli, read)
  local M = {}

  local input = require "lurn.cli_input" (cli)

  local function likeliest (row)
    local best = 1
    for c = 2, #row do if row[c] > row[best] then best = c end end
    return best
  end

  local function quoted (text)
    return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
  end

  -- Classes have names where the data set has them, or the run has a vocabulary, and there are as many outputs.
  local function names_of (data, vocab, cols)
    local classes = data.classes or data.set.classes or vocab
    return type(classes) == "table" and #classes == cols and cols > 1 and classes or nil
  end

  -- What a row's step is called by the column `time` of the table: its own step, or the last one of its sequence.
  local function time_of (times, rows, t)
    if #rows == #times then return times[t] end
    return #rows == 1 and times[#times] or ""
  end

  -- One row for each step: its sequence (as the table calls it, or its number in the data), its step, its time where
  -- the table has times, its outputs, and the likeliest class where classes have names.
  local function write_csv (file, outputs, numbers, data, classes)
    local over_time = outputs[1]:dim() > 1
    local cols = outputs[1]:size(over_time and 2 or 1)
    local head = {"sequence", over_time and "step" or nil}
    if data.times then head[#head + 1] = "time" end
    for c = 1, cols do head[#head + 1] = "out" .. c end
    if classes then head[#head + 1] = "class" end
    file:write(table.concat(head, ","), "\n")
    for i, out in ipairs(outputs) do
      local n, rows = numbers[i], out:totable()
      if not over_time then rows = {rows} end
      for t, row in ipairs(rows) do
        local cells = {quoted(data.names and data.names[n] or tostring(n)), over_time and t or nil}
        if data.times then cells[#cells + 1] = quoted(time_of(data.times[n], rows, t)) end
        for _, x in ipairs(row) do cells[#cells + 1] = ("%.9g"):format(x) end
        if classes then cells[#cells + 1] = quoted(classes[likeliest(row)]) end
        file:write(table.concat(cells, ","), "\n")
      end
    end
  end

  -- A model that learnt normalised targets puts out such: told, or turned back.
  local function rescale (lurn, data, outputs, cols, back)
    local y = data.normalisation and data.normalisation.y
    if back and not (y and #y.columns == cols) then
      cli.usage(y and ("--denormalise: the model puts out %d numbers, and the targets are %d"):format(cols, #y.columns)
        or "--denormalise: the targets were not normalised")
    end
    if back then
      local mean, deviation = lurn.tensor(y.mean), lurn.tensor(y.deviation)
      for i, out in ipairs(outputs) do outputs[i] = out * deviation + mean end
    end
    for k, column in ipairs(y and not back and y.columns or {}) do
      io.stderr:write(("lurn: targets were normalised: %s = %.9g + %.9g x output%s\n"):format(column, y.mean[k],
        y.deviation[k], k == 1 and " (--denormalise)" or ""))
    end
  end

  local function to_csv (path, ...)
    local file, message = io.open(path, "w")
    if not file then cli.fail(cli.FAILED, message) end
    write_csv(file, ...)
    local ok
    ok, message = file:close()
    if not ok then cli.fail(cli.FAILED, ("%s: %s"):format(path, message)) end
  end

  -- /out (total, C) with /offsets (N+1), as in a data set; or (N, C) where there is one output a sequence.
  local function to_h5 (lurn, path, outputs, run)
    local over_time, offsets, rows = outputs[1]:dim() > 1, {0}, {}
    for i, out in ipairs(outputs) do
      rows[i] = over_time and out or out:unsqueeze(1)
      offsets[i + 1] = offsets[i] + rows[i]:size(1)
    end
    local w, message = lurn.h5.create(path)
    if not w then cli.fail(cli.FAILED, message) end
    local done
    done, message = w:write("/out", lurn.cat(rows, 1))
    if done then done, message = w:write("/offsets", offsets) end
    if done then done, message = w:attr("/", "run", run) end
    if done then done, message = w:commit() end
    if not done then cli.fail(cli.FAILED, message) end
  end

  -- Outputs as (T,C) or (C), whatever their shape.
  local function flattened (outputs, over_time)
    for i, out in ipairs(outputs) do
      if out:dim() > 2 then outputs[i] = out:reshape(out:size(1), out:numel() // out:size(1)) end
      if not over_time and out:dim() > 1 then outputs[i] = out:reshape(out:numel()) end
    end
    return outputs
  end

  function M.predict (options, rest)
    if not options.out then cli.usage("where to? -o OUT.csv or OUT.h5", cli.describe(cli.verbs.predict)) end
    local lurn, file = read.run(input.only_file("predict", rest), options)
    local model = read.build(lurn, file, 1)
    local data = read.data(lurn, file, options)
    input.keep(options.out, {file.path, data.path})
    local split = options.split and (data[options.split]
      or cli.fail(cli.INPUT, ("%s: the data have no split '%s'"):format(file.path, options.split))) or data.all
    local outputs, numbers = read.over_split(model.predict, file, model, split, options)
    if not outputs[1] then cli.fail(cli.INPUT, "the data have no sequence") end
    outputs = flattened(outputs, model:output_axis() == "time")
    local cols = outputs[1]:size(outputs[1]:dim())
    rescale(lurn, data, outputs, cols, options.denormalise)
    if options.out:find "%.h5$" or options.out:find "%.hdf5$" then to_h5(lurn, options.out, outputs, file.path)
    else to_csv(options.out, outputs, numbers, data, names_of(data, file.vocab, cols)) end
    if options.json then cli.document {run = file.path, out = options.out, sequences = #outputs, columns = cols}
    else print(("%s: %d sequences, %d columns"):format(options.out, #outputs, cols)) end
    return cli.OK
  end

  return M
end
