//! Addresses, with the enclave's signed statement: what the host swaps on the way shows.

use strongroom_shared::dsse::PayloadType;
use strongroom_shared::intent::V1;
use strongroom_shared::path::HdPath;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::reply::AddressesReply;
use strongroom_shared::statement::{AddressEntry, AddressStatement, ChainNamespace};
use strongroom_shared::wire::{AddressQuery, AddressSelection, MAX_ADDRESSES};

use crate::enclave::Enclave;
use crate::keys::wallet::ACCOUNT;

/// Derives what is asked for, if the policy has those paths, and signs a statement about it.
pub fn list(enclave: &Enclave, query: &AddressQuery) -> Result<AddressesReply, Problem> {
    let unknown = || Problem::new(Code::UnknownWallet, "wallet: not open in the enclave");
    let wallet = enclave.keyring.get(&query.wallet).ok_or_else(unknown)?;
    let policy = enclave.policy.wallet(&query.wallet).ok_or_else(unknown)?;
    if !enclave.policy.is_usable(policy) {
        let detail = "wallet: expected one whose fingerprint the policy pins";
        return Err(Problem::new(Code::WalletNotPinned, detail));
    }
    let mut addresses = Vec::new();
    for path in paths(&query.selection)? {
        let address = policy.covers(&path).then(|| wallet.address(&path)).flatten();
        let Some(address) = address else {
            let detail = "path: expected one that the wallet has in the policy";
            return Err(Problem::new(Code::PathDenied, detail));
        };
        addresses.push(AddressEntry { path, address });
    }
    let statement = AddressStatement {
        version: V1,
        boot_id: enclave.receipt_key.boot_id().clone(),
        wallet: query.wallet.clone(),
        fingerprint: wallet.fingerprint(),
        chain: ChainNamespace::Eip155,
        addresses: addresses.clone(),
    };
    serde_json::to_vec(&statement)
        .ok()
        .and_then(|payload| enclave.receipt_key.sign(PayloadType::AddressStatement, payload))
        .map(|statement| AddressesReply { addresses, statement })
        .ok_or_else(|| Problem::new(Code::InternalFault, "the statement could not be signed"))
}

fn paths(selection: &AddressSelection) -> Result<Vec<HdPath>, Problem> {
    match selection {
        AddressSelection::Path(path) => Ok(vec![*path]),
        AddressSelection::Range { first, count } => {
            if !(1..=MAX_ADDRESSES).contains(count) {
                let detail = format!("count: expected 1 to {MAX_ADDRESSES}");
                return Err(Problem::new(Code::MalformedRequest, detail));
            }
            let end = first.saturating_add(*count);
            let [a, b, c, d] = ACCOUNT;
            Ok((*first..end).map(|index| HdPath::new([a, b, c, d, index])).collect())
        }
    }
}
