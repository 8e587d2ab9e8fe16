//! How a field's state is stored.
//!
//! Nearly all fields of nearly all records are as they were delivered, and a ledger holds tens of them for every record: those are stored
//! as a list of the value, followed by `true` where the field is people's. All others are an object with a name for everything.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::FieldState;

#[derive(Serialize)]
struct Written<'a> {
    desired: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echoed: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rewritten: Option<&'a Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rests: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    people: bool,
}

#[derive(Deserialize)]
struct Read {
    desired: Value,
    #[serde(default, deserialize_with = "present")]
    sent: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    echoed: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    rewritten: Option<Value>,
    #[serde(default)]
    rests: bool,
    #[serde(default)]
    people: bool,
}

/// A `null` that is there is a value: a field that we emptied is not one that we never write.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Serialize for FieldState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { desired, sent, echoed, rewritten, rests, people } = self;
        let is_as_delivered = sent.as_ref() == Some(desired) && echoed.is_none() && rewritten.is_none() && !rests;
        if !is_as_delivered {
            let (sent, echoed, rewritten) = (sent.as_ref(), echoed.as_ref(), rewritten.as_ref());
            return Written { desired, sent, echoed, rewritten, rests: *rests, people: *people }.serialize(serializer);
        }
        let mut list = serializer.serialize_seq(Some(1 + usize::from(*people)))?;
        list.serialize_element(desired)?;
        if *people {
            list.serialize_element(&true)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for FieldState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct State;

        impl<'de> Visitor<'de> for State {
            type Value = FieldState;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's state: a list of its value, or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FieldState, A::Error> {
                let value: Value = list.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let people = list.next_element()?.unwrap_or(false);
                Ok(FieldState::delivered(value, people))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldState, A::Error> {
                let Read { desired, sent, echoed, rewritten, rests, people } = Read::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FieldState { desired, sent, echoed, rewritten, rests, people })
            }
        }

        deserializer.deserialize_any(State)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            Just(json!([])),
            Just(json!({"a": [true]})),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_state_reads_back(
            desired in value(),
            sent in proptest::option::of(value()),
            echoed in proptest::option::of(value()),
            rewritten in proptest::option::of(value()),
            flags in any::<[bool; 3]>(),
        ) {
            let [is_as_wanted, rests, people] = flags;
            let sent = if is_as_wanted { Some(desired.clone()) } else { sent };
            let state = FieldState { desired, sent, echoed, rewritten, rests, people };
            let text = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<FieldState>(&text).unwrap(), state, "{}", text);
        }
    }

    #[test]
    fn what_was_delivered_is_short() {
        assert_eq!(serde_json::to_string(&FieldState::delivered("web".into(), false)).unwrap(), r#"["web"]"#);
        assert_eq!(serde_json::to_string(&FieldState::delivered(Value::Null, true)).unwrap(), "[null,true]");
    }
}
