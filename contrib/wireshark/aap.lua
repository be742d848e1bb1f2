-- Wireshark dissector for AAP, the Multicast Address Allocation Protocol
-- (draft-ietf-malloc-aap-04), on UDP port 2878, with the trailer of doc/aap-authentication.md
-- where there is one. Nothing is verified: the keys aren't here.
--
-- To use it, copy this file into the personal Lua plugin folder (Help, About, Folders), or:
--   tshark -X lua_script:aap.lua -r capture.pcap

local aap = Proto("aap", "Multicast Address Allocation Protocol")

local types = { [0] = "ACLM", [1] = "AIU", [2] = "AITU", [3] = "ASA", [4] = "ASRP", [5] = "ANA" }
local type_texts = {
  [0] = "Address Claim", [1] = "Address In Use", [2] = "Address Intent To Use",
  [3] = "Address Space Announce", [4] = "Address Space Report", [5] = "Address Not Available",
}
local families = { [1] = "IPv4", [2] = "IPv6" }
local family_octets = { [1] = 4, [2] = 16 }
local ACLM, AIU, AITU, ASA, ASRP, ANA = 0, 1, 2, 3, 4, 5

-- ---- fields ------------------------------------------------------------------------------------

local f = {}
local function field(key, kind, name, ...)
  f[key] = ProtoField[kind]("aap." .. key, name, ...)
end

field("version", "uint8", "Version", base.DEC)
field("type", "uint8", "Message Type", base.DEC, type_texts)
field("family", "uint16", "Address Family", base.DEC, families)
field("rseq", "uint24", "Request Sequence Number", base.DEC)
field("mseq", "uint8", "Message Sequence Number", base.DEC)
field("current_time", "absolute_time", "Current Time", base.UTC)
field("expiration_time", "absolute_time", "Expiration Time", base.UTC)
field("resent", "bool", "Resent by a MAAS")
field("reports", "uint8", "Reports", base.DEC)
field("requests", "uint8", "Requests", base.DEC)
field("first_ipv4", "ipv4", "First Address")
field("first_ipv6", "ipv6", "First Address")
field("last_ipv4", "ipv4", "Last Address")
field("last_ipv6", "ipv6", "Last Address")
field("end_time", "absolute_time", "End Time", base.UTC)
field("in_use", "uint32", "Addresses in Use", base.DEC)
field("wanted", "uint32", "Addresses Wanted", base.DEC)
field("wanted_until", "absolute_time", "Wanted Until", base.UTC)

local kinds = { [1] = "shared key", [2] = "Ed25519" }
field("auth.tag", "bytes", "Tag")
field("auth.sender", "uint64", "Sender", base.HEX)
field("auth.counter", "uint64", "Counter", base.DEC)
field("auth.key_id", "uint32", "Key ID", base.HEX)
field("auth.kind", "uint8", "Kind", base.DEC, kinds)

for _, one in pairs(f) do
  aap.fields[#aap.fields + 1] = one
end

local e = {
  malformed = ProtoExpert.new("aap.malformed", "Malformed: receivers ignore the whole message",
    expert.group.MALFORMED, expert.severity.ERROR),
  ended = ProtoExpert.new("aap.ended", "End Time is not after Current Time: the range is given up",
    expert.group.COMMENTS_GROUP, expert.severity.COMMENT),
  unmet = ProtoExpert.new("aap.unmet", "Addresses could not be allocated",
    expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
aap.experts = { e.malformed, e.ended, e.unmet }

-- ---- ranges and requests -----------------------------------------------------------------------

local length_text = "wrong length"

local function add_address(tree, key, range, family)
  tree:add(f[key .. (family == 1 and "_ipv4" or "_ipv6")], range)
  return tostring(family == 1 and range:ipv4() or range:ipv6()), range:bytes():raw()
end

-- The octets of both ends say what is wrong with the range, or nil.
local function check_range(first, last, family)
  if first > last then
    return "first address is above the last"
  end
  for _, one in ipairs({ first, last }) do
    local head = one:byte(1)
    if (family == 1 and (head < 224 or head > 239)) or (family == 2 and head ~= 255) then
      return "address is not multicast"
    end
  end
  if family == 2 and first:sub(1, 2) ~= last:sub(1, 2) then
    return "flags or scope differ between first and last address"
  end
end

local function read_range(msg, tree, at)
  local size = family_octets[msg.family]
  local branch = tree:add(aap, msg.tvb(at, 2 * size + 4), "Range")
  local first, low = add_address(branch, "first", msg.tvb(at, size), msg.family)
  local last, high = add_address(branch, "last", msg.tvb(at + size, size), msg.family)
  local value = msg.tvb(at + 2 * size, 4)
  local text = first == last and first or first .. " to " .. last
  branch:append_text(" " .. text)
  if msg.type == ASRP then
    branch:add(f.in_use, value)
    branch:append_text(", " .. value:uint() .. " in use")
  else
    local item = branch:add(f.end_time, value)
    if value:uint() <= msg.time then
      item:add_proto_expert_info(e.ended)
    end
  end
  msg.texts[#msg.texts + 1] = text
  local wrong = check_range(low, high, msg.family)
  if wrong then
    branch:add_proto_expert_info(e.malformed, wrong)
  end
  return wrong
end

-- N ranges from AT on; they are there.
local function read_ranges(msg, tree, at, n)
  local octets = 2 * family_octets[msg.family] + 4
  local wrong
  for i = 0, n - 1 do
    wrong = read_range(msg, tree, at + i * octets) or wrong
  end
  return wrong
end

local function read_ranges_to_end(msg, tree, at)
  local octets = 2 * family_octets[msg.family] + 4
  local left = msg.tvb:len() - at
  local wrong = read_ranges(msg, tree, at, math.floor(left / octets))
  return left % octets ~= 0 and length_text or wrong
end

local function read_request(msg, tree, at)
  local branch = tree:add(aap, msg.tvb(at, 8), "Request")
  local count = msg.tvb(at, 4):uint()
  branch:add(f.wanted, msg.tvb(at, 4))
  branch:add(f.wanted_until, msg.tvb(at + 4, 4))
  branch:append_text(string.format(" for %d addresses", count))
  return count
end

-- ---- one function for each layout: what is wrong, or nil ----------------------------------------

local function read_claim(msg, tree)
  return msg.tvb:len() == 12 and "no range" or read_ranges_to_end(msg, tree, 12)
end

local function read_asa(msg, tree)
  if msg.tvb:len() < 16 then
    return length_text
  end
  tree:add(f.expiration_time, msg.tvb(12, 4))
  msg.resent = msg.time >= msg.tvb(12, 4):uint()
  tree:add(f.resent, msg.resent):set_generated()
  return read_ranges_to_end(msg, tree, 16)
end

local function read_asrp(msg, tree)
  local octets, left = 2 * family_octets[msg.family] + 4, msg.tvb:len() - 13
  if left < 0 then
    return length_text
  end
  local reports = msg.tvb(12, 1):uint()
  tree:add(f.reports, msg.tvb(12, 1))
  local whole = math.min(reports, math.floor(left / octets))
  local wrong = read_ranges(msg, tree, 13, whole)
  local at = 13 + reports * octets
  if at >= msg.tvb:len() then
    return length_text
  end
  local requests = msg.tvb(at, 1):uint()
  tree:add(f.requests, msg.tvb(at, 1))
  left = msg.tvb:len() - at - 1
  for i = 0, math.min(requests, math.floor(left / 8)) - 1 do
    read_request(msg, tree, at + 1 + 8 * i)
  end
  return left ~= 8 * requests and length_text or wrong
end

local function read_ana(msg, tree)
  if msg.tvb:len() < 20 then
    return length_text
  end
  local count = read_request(msg, tree, 12)
  msg.texts[1] = count .. " addresses"
  tree:add_proto_expert_info(e.unmet)
  return msg.tvb:len() > 20 and length_text or count == 0 and "request for no address" or nil
end

local readers = {
  [ACLM] = read_claim, [AIU] = read_claim, [AITU] = read_claim, [ASA] = read_asa,
  [ASRP] = read_asrp, [ANA] = read_ana,
}

-- ---- the trailer of authentication ----------------------------------------------------------------

local magic, fields_octets, tag_octets = 0x41415001, 25, { [1] = 32, [2] = 64 }

-- How many octets it has at the end of the datagram; 0: there is none.
local function trailer_octets(tvb)
  local length = tvb:len()
  if length < 12 + fields_octets or tvb(length - 4, 4):uint() ~= magic then
    return 0
  end
  local octets = (tag_octets[tvb(length - 5, 1):uint()] or length) + fields_octets
  return octets <= length - 12 and octets or 0
end

local function read_trailer(tvb, tree, octets)
  local at = tvb:len() - octets
  local branch = tree:add(aap, tvb(at, octets), "Authentication")
  local tag = octets - fields_octets
  branch:add(f["auth.tag"], tvb(at, tag))
  branch:add(f["auth.sender"], tvb(at + tag, 8))
  branch:add(f["auth.counter"], tvb(at + tag + 8, 8))
  branch:add(f["auth.key_id"], tvb(at + tag + 16, 4))
  branch:add(f["auth.kind"], tvb(at + tag + 20, 1))
  branch:append_text(string.format(", %s, key %08x", kinds[tvb(at + tag + 20, 1):uint()],
    tvb(at + tag + 16, 4):uint()))
end

-- ---- messages ----------------------------------------------------------------------------------

local function read_header(tvb, tree)
  tree:add(f.version, tvb(0, 1))
  tree:add(f.type, tvb(1, 1))
  tree:add(f.family, tvb(2, 2))
  tree:add(f.rseq, tvb(4, 3))
  tree:add(f.mseq, tvb(7, 1))
  tree:add(f.current_time, tvb(8, 4))
  return {
    tvb = tvb, version = tvb(0, 1):uint(), type = tvb(1, 1):uint(), family = tvb(2, 2):uint(),
    rseq = tvb(4, 3):uint(), mseq = tvb(7, 1):uint(), time = tvb(8, 4):uint(), texts = {},
  }
end

local function read_message(msg, tree)
  if msg.version ~= 0 then
    return "version is not 0"
  elseif not types[msg.type] then
    return "unknown message type"
  elseif not families[msg.family] then
    return "unknown address family"
  end
  return readers[msg.type](msg, tree)
end

local function summary(msg)
  local texts, most = msg.texts, 4
  local text = string.format("%s rseq %d mseq %d", types[msg.type] or "unknown type " .. msg.type,
    msg.rseq, msg.mseq)
  if msg.resent then
    text = text .. " (resent)"
  end
  if #texts > 0 then
    text = text .. " " .. table.concat(texts, ", ", 1, math.min(most, #texts))
  end
  return #texts > most and text .. string.format(" and %d more", #texts - most) or text
end

function aap.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "AAP"
  local tree = root:add(aap, tvb())
  if tvb:len() < 12 then
    tree:add_proto_expert_info(e.malformed, "shorter than 12 octets")
    pinfo.cols.info = "malformed: shorter than 12 octets"
    return tvb:len()
  end
  local trailer = trailer_octets(tvb)
  local msg = read_header(trailer > 0 and tvb(0, tvb:len() - trailer):tvb() or tvb, tree)
  local wrong = read_message(msg, tree)
  local text = summary(msg)
  if trailer > 0 then
    read_trailer(tvb, tree, trailer)
  end
  tree:append_text(", " .. text)
  if wrong then
    tree:add_proto_expert_info(e.malformed, wrong)
    text = text .. " malformed: " .. wrong
  end
  pinfo.cols.info = text
  return tvb:len()
end

DissectorTable.get("udp.port"):add(2878, aap)
