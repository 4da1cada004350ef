//! The JSON Schema of the events, made from their types: `docs/events.schema.json` is this and nothing else.

use std::borrow::Cow;

use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema, transform::RecursiveTransform,
};
use serde_json::Value as Json;

use super::{Event, FlowPtr, MacAddr, Name, Ufid, action::SetKey};

/// The schema of one event, as [`Event`] is written in JSON (JSON Schema, draft 2020-12). Descriptions are the types' own
/// documentation.
///
/// It is open: an object may have fields that it does not name, as a later version adds some and never changes one.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(plain_words));
    let mut schema = settings.into_generator().into_root_schema_for::<Event>();
    schema.insert("title".to_owned(), "An event of ovscope: a line of «ovscope export --format json»".into());
    schema
}

/// Descriptions are documentation: its links lead nowhere in a schema, its line ends are those of the source.
fn plain_words(schema: &mut Schema) {
    let Some(Json::String(text)) = schema.get_mut("description") else { return };
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((name, after)) = after.split_once("`]") else {
            plain.push_str("[`");
            rest = after;
            continue;
        };
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        rest = after.strip_prefix('(').and_then(|link| link.split_once(')')).map_or(after, |(_, after)| after);
    }
    plain.push_str(rest);
    *text = plain.replace('\n', " ");
}

/// A type that is a string in JSON.
macro_rules! string {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

string!(FlowPtr, "Address", {
    "description": "A 64-bit address or cookie, as hex digits: not every reader holds such numbers.",
    "type": "string",
    "pattern": "^[0-9a-f]{1,16}$"
});
string!(Ufid, "Ufid", {
    "description": "A flow's unique id, as ovs-dpctl prints it.",
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
});
string!(Name, "Name", {
    "description": "A task's or a device's name, at most 16 bytes in the kernel. It may hold anything, control characters too; bytes that are not UTF-8 are replaced.",
    "type": "string",
    "maxLength": 16
});
string!(MacAddr, "EthAddr", {
    "description": "An Ethernet address.",
    "type": "string",
    "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"
});
string!(SetKey, "SetKey", {
    "description": "Fields of one header that are written.",
    "type": "object",
    "properties": {
        "key": { "description": "The header, as ovs-dpctl names it: eth, ipv4, tcp, tunnel, nsh, …", "type": "string" },
        "fields": {
            "description": "The fields by name.",
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "value": { "type": ["integer", "string"] },
                    "mask": {
                        "description": "The bits that are written; absent: all.",
                        "type": ["integer", "string"]
                    }
                },
                "required": ["value"]
            }
        }
    },
    "required": ["key", "fields"]
});

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "docs/events.schema.json";

    /// To write it anew: `OVSCOPE_WRITE_SCHEMA=1 cargo test --lib schema`.
    #[test]
    fn the_schema_in_docs_is_that_of_the_types() {
        let made = serde_json::to_string_pretty(&schema()).expect("plain data") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.schema.json");
        if std::env::var_os("OVSCOPE_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &made).expect("the file can be written");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(there == made, "{FILE} is not what the types give: OVSCOPE_WRITE_SCHEMA=1 cargo test --lib schema");
    }

    #[test]
    fn every_kind_is_in_it() {
        let text = schema().as_value().to_string();
        for kind in ["flow_lookup", "net_dev_xmit", "daemon_answer", "flow_result", "counters"] {
            assert!(text.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }

    #[test]
    fn links_become_words() {
        let mut schema = json_schema!({ "description": "As [`Loss`](super::Loss) has it,\nand [`Event`]. [`" });
        plain_words(&mut schema);
        assert_eq!(schema.as_value()["description"], "As `Loss` has it, and `Event`. [`");
    }
}
