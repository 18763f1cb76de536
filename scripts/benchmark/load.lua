-- Asks for states: of all records in turn (first pass) or at random, with what else is told.
--   LOAD_NAMES    file with a suffix and a state digest on each line
--   LOAD_MODE     pass (each once, in turn), any (at random), held (at random, with its ETag)
--   LOAD_DELAY_MS mean pause before each request of a connection; none if absent
local names, digests = {}, {}
for line in io.lines(os.getenv("LOAD_NAMES")) do
  local name, digest = line:match("(%S+) (%S+)")
  names[#names + 1], digests[#digests + 1] = name, digest
end
local mode = os.getenv("LOAD_MODE")
local pause = tonumber(os.getenv("LOAD_DELAY_MS") or "0")
local at = 0
math.randomseed(1)

request = function()
  at = at % #names + 1
  local one = mode == "pass" and at or math.random(#names)
  local headers = mode == "held" and { ["If-None-Match"] = '"' .. digests[one] .. '"' } or nil
  return wrk.format("GET", "/pith/" .. names[one] .. "/state.json", headers)
end

if pause > 0 then
  delay = function() return math.random(0, math.floor(2 * pause)) end
end

done = function(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
