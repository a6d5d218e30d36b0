"""An engine that shares no code with Strongroom: eth-account, and Ed25519 of `cryptography`.

Written from docs/formats.md and docs/api.md. It makes its own transactions, signs its own intents, and
checks what comes back: usage: client.py URL ENVIRONMENT
"""

import base64
import hashlib
import json
import sys
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils import keccak
import rlp

USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
INTENT = "application/vnd.strongroom.intent.v1+json"
SECP256K1_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def call(url, body=None):
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def pae(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class Engine:
    def __init__(self, url, environment, name):
        self.url, self.name = url, name
        with open(f"{environment}/keys/{name}.pem", "rb") as file:
            self.key = load_pem_private_key(file.read(), None)
        status, policy = call(f"{url}/v1/policy")
        assert status == 200
        payload = base64.b64decode(policy["envelope"]["payload"])
        assert policy["digest"] == "sha256:" + hashlib.sha256(payload).hexdigest()
        self.policy = policy["digest"]

    def sign(self, intent_id, wallet, path, unsigned):
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))
        payload = json.dumps({
            "version": 1, "intent_id": intent_id, "wallet": wallet, "path": path, "policy": self.policy,
            "expires_at": expires, "payload": {"type": "evm_transaction", "unsigned": "0x" + unsigned.hex()},
        }).encode()
        envelope = {
            "payloadType": INTENT,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{
                "keyid": self.name,
                "sig": base64.b64encode(self.key.sign(pae(INTENT, payload))).decode(),
            }],
        }
        status, reply = call(f"{self.url}/v1/sign", json.dumps(envelope).encode())
        if status == 200:
            assert reply["intent_digest"] == "sha256:" + hashlib.sha256(payload).hexdigest()
        return status, reply


def unsigned_typed(t):
    """EIP-2930 and EIP-1559: the type, and the RLP of the fields without a signature."""
    price = [t["gasPrice"]] if t["type"] == 1 else [t["maxPriorityFeePerGas"], t["maxFeePerGas"]]
    to = bytes.fromhex(t["to"][2:])
    fields = [t["chainId"], t["nonce"], *price, t["gas"], to, t["value"], t["data"], t["accessList"]]
    unsigned = bytes([t["type"]]) + rlp.encode(fields)
    assert keccak(unsigned) == TypedTransaction.from_dict(t).hash(), "eth-account encodes it otherwise"
    return unsigned


def unsigned_legacy(t):
    """EIP-155: nine items, of which the last three are the chain id and two zeros."""
    to = bytes.fromhex(t["to"][2:])
    return rlp.encode([t["nonce"], t["gasPrice"], t["gas"], to, t["value"], t["data"], t["chainId"], 0, 0])


def check(reply, transaction, unsigned, sender):
    signed = bytes.fromhex(reply["signed_transaction"][2:])
    assert Account.recover_transaction(signed) == sender == reply["from"], "another sender"
    assert "0x" + keccak(signed).hex() == reply["transaction_hash"], "another hash"
    if unsigned[0] >= 0xC0:
        fields = rlp.decode(signed)
        v, r, s = (int.from_bytes(field, "big") for field in fields[-3:])
        assert v in (transaction["chainId"] * 2 + 35, transaction["chainId"] * 2 + 36)
        assert rlp.encode(fields[:6] + rlp.decode(unsigned)[6:]) == unsigned, "another transaction"
    else:
        fields = rlp.decode(signed[1:])
        r, s = (int.from_bytes(field, "big") for field in fields[-2:])
        assert signed[:1] + rlp.encode(fields[:-3]) == unsigned, "another transaction"
    assert 0 < r and 0 < s <= SECP256K1_HALF_ORDER, "s is not low"


def main(url, environment):
    sweep = Engine(url, environment, "sweep-engine")
    _, hot = call(f"{url}/v1/wallets/hot-eth/addresses?path=m/44'/60'/0'/0/0")
    hot = hot["addresses"][0]["address"]
    _, deposits = call(f"{url}/v1/wallets/deposits-eth/addresses?first=0&count=20")
    transfer = keccak(text="transfer(address,uint256)")[:4]
    checked = 0
    for index, deposit in enumerate(deposits["addresses"]):
        base = {"nonce": index, "gas": 90_000, "value": 10**15 + index, "to": hot, "data": b"", "chainId": 1}
        token = transfer + bytes(12) + bytes.fromhex(hot[2:]) + (25_000_000 + index).to_bytes(32, "big")
        fees = {"maxFeePerGas": 30 * 10**9, "maxPriorityFeePerGas": 10**9}
        typed = [
            {**base, **fees, "type": 2, "accessList": []},
            {**base, **fees, "type": 2, "accessList": [], "nonce": 100 + index, "to": USDT, "value": 0, "data": token},
            {**base, "type": 1, "gasPrice": 20 * 10**9, "accessList": [], "nonce": 200 + index},
        ]
        legacy = {**base, "gasPrice": 20 * 10**9, "nonce": 300 + index, "chainId": 31337}
        pairs = [(t, unsigned_typed(t)) for t in typed] + [(legacy, unsigned_legacy(legacy))]
        for kind, (transaction, unsigned) in enumerate(pairs):
            status, reply = sweep.sign(f"py-{index}-{kind}", "deposits-eth", deposit["path"], unsigned)
            assert status == 200, reply
            check(reply, transaction, unsigned, deposit["address"])
            checked += 1
    thief = {**base, **fees, "type": 2, "accessList": [], "nonce": 999, "to": "0x" + "66" * 20}
    status, reply = sweep.sign("py-theft", "deposits-eth", deposits["addresses"][0]["path"], unsigned_typed(thief))
    assert (status, reply["code"]) == (412, "destination_denied"), reply
    print(f"independent client: {checked} transactions of four kinds signed and checked with eth-account, 1 theft refused")


if __name__ == "__main__":
    main(*sys.argv[1:])
