--- A sweep on a Slurm cluster: an array of pull workers that loop over the store. Nothing stays behind on the login
-- node; a task that ends, for whatever reason, is nobody's loss.
--
--   lurn slurm script.lua --trials 200 --tasks 16 -- --partition=cpu --time=4:00:00
--
-- Before its time is over (Slurm's USR1) a task has its trials checkpointed and put back, and asks to be queued again;
-- the same task then takes up its own trials: its place in the array is its name in the store. Options behind -- go
-- to sbatch and win over those in the script.

return function (lurn)
  local M = {}

  local NOTICE = 120      -- seconds before the limit; Slurm's clock may call a minute earlier

  local quote, word_of = lurn.shell.quote, lurn.shell.word

  -- wait returns when a trapped signal came, too: the loop asks whether the worker is really gone. A worker that was
  -- killed (137: out of memory, or by hand) leaves trials whose leases run out; its task is queued again for the rest.
  local SCRIPT = [=[
#!/bin/bash
#SBATCH --job-name=lurn-%s
#SBATCH --array=1-%d
#SBATCH --cpus-per-task=%d
#SBATCH --output=%s
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@%d

again= ending= worker=
end_worker () { ending=1; if [ $worker ]; then kill -TERM $worker; fi; }
trap 'again=1; end_worker' USR1
trap end_worker TERM INT
%s &
worker=$!
if [ $ending ]; then end_worker; fi
wait $worker; code=$?
while kill -0 $worker 2>/dev/null; do wait $worker; code=$?; done
if [ $code != 0 ] && { [ $again ] || [ $code = 137 ]; }; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit $code
]=]

  --- The text of the batch script.
  ---@param o {study: string, tasks: integer, workers: integer, output: string, command: string[]}
  ---@return string
  function M.script (o)
    local words = {}
    for i, word in ipairs(o.command) do words[i] = word_of(word) end
    return SCRIPT:format(o.study, o.tasks, o.workers, o.output, NOTICE, table.concat(words, " "))
  end

  --- Hands a script to sbatch. The job's number; or nil, message, code.
  ---@param path string       of the script
  ---@param options string[]  for sbatch
  function M.submit (path, options)
    local words = {"sbatch", "--parsable"}
    for _, option in ipairs(options) do words[#words + 1] = quote(option) end
    words[#words + 1] = quote(path)
    local pipe = io.popen(table.concat(words, " ") .. " 2>&1")
    local said = pipe:read "a"
    local ok, _, code = pipe:close()
    if ok then return (said:match "^(%d+)") end
    if code == 127 then return nil, "sbatch is not on the PATH: is this a login node of a Slurm cluster?", "ENOENT" end
    return nil, "sbatch: " .. (said:match "^%s*(.-)%s*$"), "ESLURM"
  end

  return M
end
