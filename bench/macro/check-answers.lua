-- For wrk: every answer is compared with what nginx was told to say.
local wanted = string.rep("x", 100)

function response(status, headers, body)
  if status ~= 200 or body ~= wanted then
    print("wrong answer: " .. status .. " " .. body:sub(1, 200))
    wrk.thread:stop()
  end
end
