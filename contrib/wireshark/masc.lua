-- Wireshark dissector for MASC, the Multicast Address-Set Claim protocol (RFC 2909), on TCP port
-- 2587. Several messages in a segment and one in several are both understood.
--
-- To use it, copy this file into the personal Lua plugin folder (Help, About, Folders), or:
--   tshark -X lua_script:masc.lua -r capture.pcap

local masc = Proto("masc", "Multicast Address-Set Claim Protocol")

local types = { [1] = "OPEN", [2] = "UPDATE", [3] = "NOTIFICATION", [4] = "KEEPALIVE" }
local OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
local families = { [1] = "IPv4", [2] = "IPv6" }
local family_octets = { [1] = 4, [2] = 16 }
local roles = { [0] = "INTERNAL_PEER", [1] = "CHILD", [2] = "SIBLING", [3] = "PARENT" }
local origins = { [0] = "INTERNAL", [1] = "CHILD", [2] = "SIBLING", [3] = "PARENT" }
local claims = {
  [0] = "PREFIX_IN_USE", [1] = "CLAIM_DENIED", [2] = "CLAIM_TO_EXPAND", [3] = "NEW_CLAIM",
  [4] = "PREFIX_MANAGED", [5] = "WITHDRAW",
}
-- Who may originate what (8.3), by the letters of ICSP, and what may be a hint with address 0.
local may = { [0] = "ICS", [1] = "IP", [2] = "ICS", [3] = "ICS", [4] = "IP", [5] = "ICSP" }
local hints = { [1] = true, [3] = true, [5] = true }
local codes = {
  [1] = "Message Header Error", [2] = "OPEN Message Error", [3] = "UPDATE Message Error",
  [4] = "Hold Timer Expired", [5] = "Finite State Machine Error",
  [6] = "NOTIFICATION Message Error", [7] = "Cease",
}
local subcodes = {
  [1] = { "Bad Message Length", "Bad Message Type" },
  [2] = {
    [1] = "Unsupported Version Number", [2] = "Bad Peer Domain ID", [3] = "Bad Peer MASC Node ID",
    [6] = "Unacceptable Hold Time", [7] = "Invalid Parent Configuration",
    [8] = "Inconsistent Role", [9] = "Bad Parent Domain ID", [10] = "No Common Parent",
    [13] = "Unrecognized Address Family",
  },
  [3] = {
    [1] = "Malformed Attribute List", [2] = "Unrecognized Required Attribute",
    [5] = "Attribute Length Error", [10] = "Invalid Address field", [11] = "Invalid Mask field",
    [12] = "Non-Contiguous Mask", [13] = "Unrecognized Address Family",
    [14] = "Claim Type Error", [15] = "Origin Domain ID Error", [16] = "Origin Node ID Error",
    [17] = "Claim Lifetime Too Short", [18] = "Claim Lifetime Too Long",
    [19] = "Claim Timestamp Too Old", [20] = "Claim Timestamp Too New",
    [21] = "Claim Prefix Size Too Small", [22] = "Claim Prefix Size Too Large",
    [23] = "Illegal Origin Role Error", [24] = "No Appropriate Parent Prefix",
    [25] = "No Appropriate Child Prefix", [26] = "No Appropriate Internal Prefix",
    [27] = "No Appropriate Sibling Prefix", [28] = "Claim Holdtime Too Short",
    [29] = "Claim Holdtime Too Long",
  },
  [4] = {}, [5] = { "Open/Close MASC Connection FSM Error", "Unexpected Message Type FSM Error" },
  [6] = {}, [7] = {},
}

-- ---- fields ------------------------------------------------------------------------------------

local f = {}
local function field(key, kind, name, ...)
  f[key] = ProtoField[kind]("masc." .. key, name, ...)
end

field("length", "uint16", "Length", base.DEC)
field("type", "uint8", "Type", base.DEC, types)
field("version", "uint8", "Version", base.DEC)
field("family", "uint8", "Address Family", base.DEC, families, 0x7c)
field("role", "uint8", "Role of the Sender", base.DEC, roles, 0x03)
field("hold_time", "uint16", "Hold Time", base.DEC)
field("domain", "string", "Sender Domain Identifier")
field("node", "string", "Sender MASC Node Identifier")
field("parent", "string", "Parent's Domain Identifier")
field("attribute_length", "uint16", "Length", base.DEC)
field("attribute_type", "uint8", "Type", base.DEC, claims)
field("deprecated", "bool", "Deprecated", 8, { "deprecated", "active" }, 0x80)
field("claim_family", "uint8", "Address Family", base.DEC, families, 0x7c)
field("origin_role", "uint8", "Role of the Origin", base.DEC, origins, 0x03)
field("timestamp", "absolute_time", "Claim Timestamp", base.UTC)
field("lifetime", "uint32", "Claim Lifetime", base.DEC)
field("holdtime", "uint32", "Claim Holdtime", base.DEC)
field("origin_domain", "string", "Origin Domain Identifier")
field("origin_node", "string", "Origin Node Identifier")
field("address_ipv4", "ipv4", "Address")
field("address_ipv6", "ipv6", "Address")
field("mask_length", "uint8", "Mask Length", base.DEC)
field("parameter", "bytes", "Optional Parameter")
field("stays_open", "bool", "Connection stays open", 8, { "yes", "no" }, 0x80)
field("code", "uint8", "Error Code", base.DEC, codes, 0x7f)
field("subcode", "uint8", "Error Subcode", base.DEC)
field("data", "bytes", "Data")

for _, one in pairs(f) do
  masc.fields[#masc.fields + 1] = one
end

local e = {
  malformed = ProtoExpert.new("masc.malformed", "Malformed: answered by a NOTIFICATION",
    expert.group.MALFORMED, expert.severity.ERROR),
  hint = ProtoExpert.new("masc.hint", "A hint that the origin needs more space",
    expert.group.COMMENTS_GROUP, expert.severity.COMMENT),
  notification = ProtoExpert.new("masc.notification", "An error was found",
    expert.group.RESPONSE_CODE, expert.severity.NOTE),
}
masc.experts = { e.malformed, e.hint, e.notification }

-- ---- what messages have in common --------------------------------------------------------------

local function family_of(octet)
  local family = math.floor(octet / 4) % 32
  return family_octets[family] and family
end

local function is_zero(range)
  return range:bytes():raw():find("[^%z]") == nil
end

-- A number where it is below 2^24, as most AS numbers are and no address is; else an address.
local function id_text(range)
  local low = range:len() == 16 and range(12, 4) or range
  local high_zero = range:len() == 4 or is_zero(range(0, 12))
  if not high_zero then
    return tostring(range:ipv6())
  end
  return low:uint() < 2 ^ 24 and tostring(low:uint()) or tostring(low:ipv4())
end

local function add_id(tree, key, range)
  local text = id_text(range)
  tree:add(f[key], range, text)
  return text
end

-- Parameters to the end; whether they have one.
local function read_parameters(tvb, tree)
  local at = 0
  while at < tvb:len() do
    if tvb:len() - at < 2 or tvb:len() - at < 2 + tvb(at, 1):uint() then
      return false
    end
    tree:add(f.parameter, tvb(at, 2 + tvb(at, 1):uint()))
    at = at + 2 + tvb(at, 1):uint()
  end
  return true
end

-- TVB(AT) to the end, or nil where there is nothing.
local function rest(tvb, at)
  return at < tvb:len() and tvb(at):tvb() or nil
end

-- ---- claims ------------------------------------------------------------------------------------

-- Length of the mask, and what is wrong with it.
local function check_mask(range)
  local ones, ended, hole = 0, false, false
  for i = 0, range:len() - 1 do
    local octet = range(i, 1):uint()
    for bit = 7, 0, -1 do
      local set = math.floor(octet / 2 ^ bit) % 2 == 1
      hole = hole or (set and ended)
      ended = ended or not set
      ones = ended and ones or ones + 1
    end
  end
  if ones == 0 then
    return 0, "invalid mask"
  elseif hole then
    return ones, "non-contiguous mask"
  end
  return ones, ones < (range:len() == 4 and 4 or 8) and "invalid mask" or nil
end

local function host_bits(address, length)
  for i = 0, address:len() - 1 do
    local masked = math.max(0, math.min(8, length - 8 * i))
    if address(i, 1):uint() % 2 ^ (8 - masked) ~= 0 then
      return true
    end
  end
  return false
end

local function check_claim(claim)
  local first = claim.address(0, 1):uint()
  local multicast = claim.family == 1 and first >= 224 and first < 240 or
    claim.family == 2 and first == 255
  if not multicast and not (is_zero(claim.address) and hints[claim.type]) then
    return "invalid address"
  elseif claim.mask_wrong then
    return claim.mask_wrong
  elseif host_bits(claim.address, claim.mask) then
    return "invalid address: bits beyond the mask"
  elseif not may[claim.type]:find(("ICSP"):sub(claim.role + 1, claim.role + 1)) then
    return "an origin of this role may not send this"
  elseif claim.domain == "0" then
    return "origin domain 0"
  end
  return claim.node == "0" and "origin node 0" or nil
end

local function read_prefix(claim, tvb, tree, at, size)
  claim.address = tvb(at, size)
  tree:add(f[claim.family == 1 and "address_ipv4" or "address_ipv6"], claim.address)
  claim.mask, claim.mask_wrong = check_mask(tvb(at + size, size))
  tree:add(f.mask_length, tvb(at + size, size), claim.mask)
  local address = tostring(claim.family == 1 and claim.address:ipv4() or claim.address:ipv6())
  return address .. "/" .. claim.mask
end

-- TVB is one attribute; its text, and what is wrong.
local function read_claim(tvb, tree, type_)
  local claim = { type = type_ }
  if tvb:len() < 8 then
    return claims[type_], "attribute length"
  end
  claim.family, claim.role = family_of(tvb(5, 1):uint()), tvb(5, 1):uint() % 4
  tree:add(f.deprecated, tvb(5, 1))
  tree:add(f.claim_family, tvb(5, 1))
  tree:add(f.origin_role, tvb(5, 1))
  if not claim.family then
    return claims[type_], "unrecognized address family"
  end
  local size = family_octets[claim.family]
  if tvb:len() < 20 + 4 * size then
    return claims[type_], "attribute length"
  end
  tree:add(f.timestamp, tvb(8, 4))
  tree:add(f.lifetime, tvb(12, 4))
  tree:add(f.holdtime, tvb(16, 4))
  claim.domain = add_id(tree, "origin_domain", tvb(20, size))
  claim.node = add_id(tree, "origin_node", tvb(20 + size, size))
  local prefix = read_prefix(claim, tvb, tree, 20 + 2 * size, size)
  local text = string.format("%s %s from %s", claims[type_], prefix, claim.domain)
  if is_zero(claim.address) then
    tree:add_proto_expert_info(e.hint)
  end
  local parameters = rest(tvb, 20 + 4 * size)
  if parameters and not read_parameters(parameters, tree) then
    return text, "parameters have no end"
  end
  return text, check_claim(claim)
end

-- The attribute at AT; where the next one is, or nil; its text, and what is wrong.
local function read_attribute(tvb, tree, at)
  local left = tvb:len() - at
  if left < 4 then
    return nil, "rest", "attribute without a header"
  end
  local length, type_ = tvb(at, 2):uint(), tvb(at + 2, 1):uint()
  local whole = length >= 4 and length <= left and length % 4 == 0
  local branch = tree:add(masc, tvb(at, whole and length or left), "Attribute")
  branch:add(f.attribute_length, tvb(at, 2))
  branch:add(f.attribute_type, tvb(at + 2, 1))
  local text, wrong = claims[type_] or "type " .. type_, nil
  if not whole then
    wrong = "attribute length"
  elseif claims[type_] then
    text, wrong = read_claim(tvb(at, length):tvb(), branch, type_)
  elseif type_ < 128 then
    wrong = "unrecognized required attribute"
  end
  branch:append_text(" " .. text)
  if wrong then
    branch:add_proto_expert_info(e.malformed, wrong)
  end
  return whole and at + length or nil, text, wrong
end

-- ---- messages: the text, and what is wrong -----------------------------------------------------

local function read_update(tvb, tree)
  local texts, wrong, at = {}, nil, 4
  while at and at < tvb:len() do
    local text, this
    at, text, this = read_attribute(tvb, tree, at)
    texts[#texts + 1] = text
    wrong = wrong or this
  end
  local most = 4
  local text = table.concat(texts, ", ", 1, math.min(most, #texts))
  return #texts > most and text .. string.format(" and %d more", #texts - most) or text, wrong
end

local function read_open(tvb, tree)
  tree:add(f.version, tvb(4, 1))
  if tvb(4, 1):uint() ~= 1 then
    return "", "unsupported version"
  end
  local family = family_of(tvb(5, 1):uint())
  tree:add(f.family, tvb(5, 1))
  tree:add(f.role, tvb(5, 1))
  tree:add(f.hold_time, tvb(6, 2))
  if not family then
    return "", "unrecognized address family"
  end
  local size, hold = family_octets[family], tvb(6, 2):uint()
  if tvb:len() < 8 + 3 * size then
    return "", "too short for its address family"
  end
  local domain = add_id(tree, "domain", tvb(8, size))
  local node = add_id(tree, "node", tvb(8 + size, size))
  add_id(tree, "parent", tvb(8 + 2 * size, size))
  local text = string.format("%s domain %s node %s", roles[tvb(5, 1):uint() % 4], domain, node)
  local parameters = rest(tvb, 8 + 3 * size)
  if parameters and not read_parameters(parameters, tree) then
    return text, "parameters have no end"
  elseif domain == "0" or node == "0" then
    return text, "identifier 0"
  end
  return text, (hold == 1 or hold == 2) and "unacceptable hold time" or nil
end

local function read_notification(tvb, tree)
  if tvb:len() < 6 then
    return "", "wrong length"
  end
  local code, subcode = tvb(4, 1):uint() % 128, tvb(5, 1):uint()
  tree:add(f.stays_open, tvb(4, 1))
  tree:add(f.code, tvb(4, 1))
  local name = subcode == 0 and "Unspecific" or (subcodes[code] or {})[subcode]
  tree:add(f.subcode, tvb(5, 1)):append_text(" (" .. (name or "unknown") .. ")")
  if tvb:len() > 6 then
    tree:add(f.data, tvb(6))
  end
  tree:add_proto_expert_info(e.notification)
  local text = string.format("%s: %s", codes[code] or "code " .. code, name or subcode)
  return text, not (codes[code] and name) and "unknown error" or nil
end

local least = { [OPEN] = 20, [UPDATE] = 40, [NOTIFICATION] = 4, [KEEPALIVE] = 4 }
local readers = { [OPEN] = read_open, [UPDATE] = read_update, [NOTIFICATION] = read_notification }

local function read_message(tvb, tree)
  local length, type_ = tvb(0, 2):uint(), tvb(2, 1):uint()
  tree:add(f.length, tvb(0, 2))
  tree:add(f.type, tvb(2, 1))
  if length < 4 or length > 4096 then
    return "", "impossible length: what follows can't be read"
  elseif not types[type_] then
    return "", "unknown message type"
  elseif length < least[type_] or (type_ == KEEPALIVE and length > 4) then
    return "", "wrong length"
  elseif type_ == KEEPALIVE then
    return ""
  end
  return readers[type_](tvb, tree)
end

local function dissect_message(tvb, pinfo, root)
  local tree = root:add(masc, tvb())
  local text, wrong = read_message(tvb, tree)
  text = (types[tvb(2, 1):uint()] or "type " .. tvb(2, 1):uint()) .. (text ~= "" and " " or "") ..
    text
  tree:append_text(", " .. text)
  if wrong then
    tree:add_proto_expert_info(e.malformed, wrong)
    text = text .. " malformed: " .. wrong
  end
  pinfo.cols.protocol = "MASC"
  pinfo.cols.info:append(text .. "; ")
  return tvb:len()
end

-- An impossible length takes all that is there: nobody knows where the next message starts.
local function message_length(tvb, _, offset)
  local length = tvb(offset, 2):uint()
  if length < 4 or length > 4096 then
    return tvb:len() - offset
  end
  return length
end

function masc.dissector(tvb, pinfo, root)
  pinfo.cols.info = ""
  dissect_tcp_pdus(tvb, root, 4, message_length, dissect_message)
  return tvb:len()
end

DissectorTable.get("tcp.port"):add(2587, masc)
