-- lurn slurm: the study it makes and the batch script it writes, with an sbatch that only notes what it is given. On
-- real hosts: tests/tools/cluster.sh.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

describe("lurn slurm", function ()
  setup(function ()
    shell.open()
    shell.write("tiny.lua", [[
return require "lurn".experiment {name = "tiny", params = {x = {0.5, float = {0, 1}}},
  run = function (run, p) return (p.x - 0.3) ^ 2 end}]])
    shell.write("sbatch", [[
#!/bin/sh
printf '%s\n' "$@" > sbatch.args
[ -e refuse ] && echo 'bad partition' && exit 1
echo '42;main'
]])
    shell.run "chmod +x sbatch"
  end)
  teardown(shell.close)

  local function slurm (arguments) return shell.lurn("slurm " .. arguments, "PATH=.:$PATH") end

  when_built("makes the study and submits an array of workers; what is behind -- is for sbatch", function ()
    local code, out = slurm("tiny.lua --trials 4 --sampler random --tasks 3 --workers 2 -- "
      .. "--partition=cpu --time=1:00:00")
    assert.equal(0, code)
    assert.matches("job 42: 3 tasks on the study 'tiny'", out)
    local given = shell.read "sbatch.args"
    assert.matches("^%-%-parsable\n%-%-partition=cpu\n%-%-time=1:00:00\n(.-)\n$", given)
    local script = assert(io.open(given:match "\n([^\n]+)\n$")):read "a"
    assert.matches("#SBATCH --array=1-3\n", script, 1, true)
    assert.matches("#SBATCH --cpus-per-task=2\n", script, 1, true)
    assert.matches("#SBATCH --requeue\n", script, 1, true)
    local store, study = script:match "worker %-%-store (%S+) %-%-study (%S+) %-%-workers 2 &\n"
    assert.equal("tiny", study)
    assert.matches("^dir:/", store)
  end)

  when_built("writes a script whose worker plays the study, queued again when it was called off or killed", function ()
    shell.write("scontrol", "#!/bin/sh\necho \"$@\" > scontrol.args")
    shell.run "chmod +x scontrol"
    local code = slurm "tiny.lua --trials 4 --sampler random --study other --write job.sh"
    assert.equal(0, code)
    local as_task = "SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=2 PATH=.:$PATH bash"
    assert.equal(0, (shell.run(as_task .. " job.sh")))
    assert.is_false(shell.exists "scontrol.args")
    local _, out = shell.lurn "study show other --store dir:sweeps/other --json"
    assert.matches('"COMPLETE": 4', out, 1, true)
    assert.matches('"worker": "slurm%-7_2%-%x+%-1"', out)
    -- The worker of this one is killed.
    shell.write("killed.sh", (shell.read("job.sh"):gsub("\n[^\n]+ worker [^\n]+ &\n", "\nsh -c 'kill -9 $$' &\n")))
    assert.equal(137, (shell.run(as_task .. " killed.sh")))
    assert.equal("requeue 7_2\n", shell.read "scontrol.args")
    os.remove(shell.path "scontrol.args")
    -- This one is called off before its time is over, and gives its trial back.
    shell.write("called.sh", (shell.read("job.sh"):gsub("\n[^\n]+ worker [^\n]+ &\n",
      "\nsh -c 'trap \"exit 143\" TERM; kill -USR1 $PPID; for i in $(seq 100); do sleep 0.1; done' &\n")))
    assert.equal(143, (shell.run(as_task .. " called.sh")))
    assert.equal("requeue 7_2\n", shell.read "scontrol.args")
  end)

  when_built("says what is wrong", function ()
    shell.write("refuse", "")
    local code, _, err = slurm "tiny.lua --trials 4 --sampler random -- --partition=nowhere"
    assert.equal(1, code)
    assert.matches("sbatch: bad partition; the script is", err)
    os.remove(shell.path "refuse")
    for arguments, pattern in pairs {[""] = "which script", ["tiny.lua --tasks 0"] = "must be at least 1",
      ["tiny.lua --store memory:"] = "inside this process", ["tiny.lua --task 3"] = "unknown parameter 'task'"} do
      code, _, err = slurm(arguments)
      assert.equal(2, code, err)
      assert.matches(pattern, err)
    end
    code, _, err = shell.lurn("slurm tiny.lua --trials 4 --sampler random", "PATH=/nowhere")
    assert.equal(1, code)
    assert.matches("sbatch is not on the PATH", err)
  end)
end)
