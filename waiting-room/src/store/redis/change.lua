-- Changes what an operator may change. An empty argument leaves the value as it is.
-- ARGV: time and caller's state, rate, burst, state, whether there is a message ('1' or ''), message, max_active, renewal,
-- whether anything is asked for ('1' or ''). Answers the snapshot.

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
line.max_active = tonumber(ARGV[7]) or line.max_active
line.renewal = tonumber(ARGV[8]) or line.renewal
if ARGV[9] == '1' then
  limit_budget(line)
  line.units = math.max(line.units, -AHEAD_MS * line.rate)
  line.version = line.version + 1
end
save(line)
return snapshot(line)
