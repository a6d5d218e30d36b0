//! The CBOR of a payload, type for type, before any bound is looked at.
//!
//! Written by hand, because the derived readers are too generous: they take an array for a map, text
//! for bytes, and the last of several equal keys.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

/// Members as they stand; `None` for those that are absent, or null where that is tolerated.
#[derive(Default)]
pub(super) struct WirePayload {
    pub(super) module_id: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) timestamp: Option<u64>,
    pub(super) pcrs: Option<BTreeMap<u64, Vec<u8>>>,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) cabundle: Option<Vec<Vec<u8>>>,
    pub(super) public_key: Option<Vec<u8>>,
    pub(super) user_data: Option<Vec<u8>>,
    pub(super) nonce: Option<Vec<u8>>,
}

/// A CBOR text string, and nothing that could be read as one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text(String);

/// A CBOR byte string, and nothing that could be read as one.
struct Bytes(Vec<u8>);

/// A CBOR map from unsigned integers to byte strings, without equal keys.
struct Registers(BTreeMap<u64, Vec<u8>>);

impl<'de> Deserialize<'de> for WirePayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PayloadVisitor;

        impl<'de> Visitor<'de> for PayloadVisitor {
            type Value = WirePayload;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map with text keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WirePayload, A::Error> {
                let mut seen = std::collections::BTreeSet::new();
                let mut payload = WirePayload::default();
                while let Some(key) = map.next_key::<Text>()? {
                    match key.0.as_str() {
                        "module_id" => payload.module_id = Some(map.next_value::<Text>()?.0),
                        "digest" => payload.digest = Some(map.next_value::<Text>()?.0),
                        "timestamp" => payload.timestamp = Some(map.next_value()?),
                        "pcrs" => payload.pcrs = Some(map.next_value::<Registers>()?.0),
                        "certificate" => payload.certificate = Some(map.next_value::<Bytes>()?.0),
                        "cabundle" => {
                            let bundle = map.next_value::<Vec<Bytes>>()?;
                            payload.cabundle = Some(bundle.into_iter().map(|c| c.0).collect());
                        }
                        "public_key" => payload.public_key = optional(&mut map)?,
                        "user_data" => payload.user_data = optional(&mut map)?,
                        "nonce" => payload.nonce = optional(&mut map)?,
                        // A member of a later version of the format is signed like the rest and
                        // changes the meaning of none of these. Refusing it would stop every
                        // enclave on the day that AWS adds one.
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                    if !seen.insert(key) {
                        return Err(A::Error::custom("a key occurs twice"));
                    }
                }
                Ok(payload)
            }
        }

        deserializer.deserialize_any(PayloadVisitor)
    }
}

/// An optional member: bytes, or the null that genuine documents have since 2025.
fn optional<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Vec<u8>>, A::Error> {
    Ok(map.next_value::<Option<Bytes>>()?.map(|bytes| bytes.0))
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_owned()))
            }
        }

        deserializer.deserialize_any(BytesVisitor)
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RegistersVisitor;

        impl<'de> Visitor<'de> for RegistersVisitor {
            type Value = Registers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from unsigned integers to byte strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Registers, A::Error> {
                let mut registers = BTreeMap::new();
                while let Some((index, value)) = map.next_entry::<u64, Bytes>()? {
                    if registers.insert(index, value.0).is_some() {
                        return Err(A::Error::custom("a register occurs twice"));
                    }
                }
                Ok(Registers(registers))
            }
        }

        deserializer.deserialize_any(RegistersVisitor)
    }
}
