-- Changes what an operator may change. An empty argument leaves the value as it is.
-- ARGV: time and caller's state, rate, burst, state, whether there is a message ('1' or ''), message. Answers the snapshot.

local line, refusal = load()
if not line then
  return refusal
end
line.rate = tonumber(ARGV[2]) or line.rate
line.burst = tonumber(ARGV[3]) or line.burst
if ARGV[4] ~= '' then
  line.state = ARGV[4]
end
if ARGV[5] == '1' then
  line.message = ARGV[6]
end
if ARGV[2] .. ARGV[3] .. ARGV[4] .. ARGV[5] ~= '' then
  limit_budget(line)
  line.units = math.max(line.units, -AHEAD_MS * line.rate)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
