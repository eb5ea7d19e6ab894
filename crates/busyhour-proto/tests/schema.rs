//! What went over the wire once is never said in another way: agents of other minor versions are in
//! the field. `schema.txt` is everything that was ever said; `UPDATE_SCHEMA=1` adds what is new, and
//! refuses everything else.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use busyhour_proto::v1;
use prost::Message as _;

/// What agents and collectors say to each other, and what programs ask a collector.
const PACKAGES: [&str; 2] = ["busyhour/v1", "busyhour/query/v1"];

/// What has a number: by its place, such as `busyhour.v1.Hello 2`, its name and kind.
type Schema = BTreeMap<String, String>;

fn proto() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

/// The schema of all files in a folder.
fn schema(folder: &Path) -> Schema {
    let mut files = BTreeSet::new();
    for package in PACKAGES {
        let entries = fs::read_dir(folder.join(package)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        files.extend(names.map(|name| format!("{package}/{}", name.to_str().unwrap())));
    }
    let descriptors = protox::compile(files, [folder]).unwrap();
    let mut schema = Schema::new();
    for file in &descriptors.file {
        let package = file.package();
        let mut messages: Vec<_> =
            file.message_type.iter().map(|m| (format!("{package}.{}", m.name()), m)).collect();
        let mut enums: Vec<_> =
            file.enum_type.iter().map(|e| (format!("{package}.{}", e.name()), e)).collect();
        while let Some((name, message)) = messages.pop() {
            for field in &message.field {
                let oneof = field.oneof_index.and_then(|at| message.oneof_decl.get(at as usize));
                let oneof = oneof.map_or("", |oneof| oneof.name());
                let kind = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
                let label = field.label().as_str_name().trim_start_matches("LABEL_").to_lowercase();
                let what = format!("{} {label} {kind} {} {oneof}", field.name(), field.type_name());
                schema.insert(format!("{name} {}", field.number()), what);
            }
            let nested = message.nested_type.iter();
            messages.extend(nested.map(|inner| (format!("{name}.{}", inner.name()), inner)));
            let nested = message.enum_type.iter();
            enums.extend(nested.map(|inner| (format!("{name}.{}", inner.name()), inner)));
        }
        for (name, of) in enums {
            for value in &of.value {
                schema.insert(format!("{name} {}", value.number()), value.name().to_owned());
            }
        }
        for service in &file.service {
            for method in &service.method {
                let stream = |streams| if streams { "stream " } else { "" };
                let what = format!(
                    "{}{} returns {}{}",
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type()
                );
                schema.insert(format!("{package}.{}/{}", service.name(), method.name()), what);
            }
        }
    }
    schema.into_iter().map(|(place, what)| (place, what.trim_end().to_owned())).collect()
}

/// What of `committed` is said in another way now, or not at all.
fn broken(committed: &Schema, present: &Schema) -> Vec<String> {
    let differs = |place: &&String| present.get(*place) != committed.get(*place);
    committed.keys().filter(differs).cloned().collect()
}

fn text(schema: &Schema) -> String {
    schema.iter().map(|(place, what)| format!("{place} = {what}\n")).collect()
}

fn parsed(text: &str) -> Schema {
    let pair = |line: &str| line.split_once(" = ").map(|(a, b)| (a.to_owned(), b.to_owned()));
    text.lines().map(|line| pair(line).unwrap()).collect()
}

#[test]
fn nothing_that_was_ever_said_is_said_in_another_way() {
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema.txt");
    let committed = parsed(&fs::read_to_string(&snapshot).unwrap_or_default());
    let present = schema(&proto());
    let broken = broken(&committed, &present);
    assert!(broken.is_empty(), "who is in the field would not be understood: {broken:?}");
    if std::env::var_os("UPDATE_SCHEMA").is_some_and(|value| value == "1") {
        fs::write(&snapshot, text(&present)).unwrap();
        return;
    }
    assert!(
        committed == present,
        "schema.txt lacks what is new: run `UPDATE_SCHEMA=1 cargo test -p busyhour-proto --test schema`"
    );
}

/// What becomes of the committed schema when `from` is replaced by `to` in `file`.
fn edited(file: &str, from: &str, to: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for package in PACKAGES {
        let copy = folder.path().join(package);
        fs::create_dir_all(&copy).unwrap();
        for entry in fs::read_dir(proto().join(package)).unwrap() {
            let entry = entry.unwrap();
            let mut text = fs::read_to_string(entry.path()).unwrap();
            if entry.file_name() == *file {
                assert_eq!(text.matches(from).count(), 1, "{from:?} is there once");
                text = text.replace(from, to);
            }
            fs::write(copy.join(entry.file_name()), text).unwrap();
        }
    }
    broken(&schema(&proto()), &schema(folder.path()))
}

#[test]
fn a_changed_or_removed_field_is_refused_and_a_new_one_is_not() {
    let (hello, welcome) = ("busyhour.v1.Hello", "busyhour.v1.Welcome");
    let cases: [(&str, &str, &[String]); 9] = [
        ("fixed64 epoch = 2;", "fixed64 epoch = 20;", &[format!("{hello} 2")]),
        ("fixed64 epoch = 2;", "uint64 epoch = 2;", &[format!("{hello} 2")]),
        ("fixed64 epoch = 2;", "fixed64 era = 2;", &[format!("{hello} 2")]),
        ("  fixed64 epoch = 2;\n", "", &[format!("{hello} 2")]),
        ("repeated BlockRange stored = 1;", "BlockRange stored = 1;", &[format!("{welcome} 1")]),
        (
            "    Block block = 2;",
            "    Credit block = 2;",
            &["busyhour.v1.AgentMessage 2".to_owned()],
        ),
        (
            "rpc Session(stream AgentMessage)",
            "rpc Session(AgentMessage)",
            &["busyhour.v1.Ingest/Session".to_owned()],
        ),
        ("  string os = 4;", "  string os = 4;\n  string shell = 400;", &[]),
        ("    Block block = 2;", "    Block block = 2;\n    Block other = 400;", &[]),
    ];
    for (from, to, expected) in cases {
        assert_eq!(edited("ingest.proto", from, to), *expected, "{from} -> {to}");
    }
    let masked = edited("query.proto", "  bool masked = 44;\n", "  string masked = 44;\n");
    assert_eq!(masked, ["busyhour.query.v1.Building 44"]);
    let renumbered = edited("record.proto", "LINK_KIND_WIFI = 2;", "LINK_KIND_WIFI = 20;");
    assert_eq!(renumbered, ["busyhour.v1.LinkKind 2"]);
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Version 0.1.0, epoch 0xfeed, a boot of sevens, "linux", blocks 3 to 9.
const HELLO: &str = "0a05302e312e30 11edfe000000000000 1a1007070707070707070707070707070707 22056c696e7578 2803 3009";

#[test]
fn what_an_older_agent_or_collector_says_is_understood() {
    let hello = v1::Hello::decode(&bytes(HELLO)[..]).unwrap();
    assert_eq!(
        (hello.version.as_str(), hello.epoch, hello.os.as_str()),
        ("0.1.0", 0xfeed, "linux")
    );
    assert_eq!((hello.boot, hello.oldest_block, hello.newest_block), (vec![7; 16], 3, 9));
    assert_eq!((hello.held_blocks, hello.nonce), (0, Vec::new()), "it did not say");

    let welcome = v1::Welcome::decode(&bytes("0a0408031004 1008")[..]).unwrap();
    assert_eq!(welcome.stored, [v1::BlockRange { first: 3, last: 4 }]);
    assert_eq!((welcome.credit, welcome.backlog), (8, None), "half of it, then");
    let credit = v1::Credit::decode(&bytes("0805")[..]).unwrap();
    assert_eq!((credit.blocks, credit.backlog), (5, None));
}

#[test]
fn what_a_newer_agent_or_collector_adds_is_passed_over() {
    // Fields 1000 (a number) and 1001 (a text) behind what is known.
    let added = format!("{HELLO} c03e2a ca3e026869");
    assert_eq!(v1::Hello::decode(&bytes(&added)[..]), v1::Hello::decode(&bytes(HELLO)[..]));
    // A message of a kind that nobody here knows.
    let unknown = bytes("c23e03080102");
    assert_eq!(v1::AgentMessage::decode(&unknown[..]).unwrap().message, None);
    assert_eq!(v1::CollectorMessage::decode(&unknown[..]).unwrap().message, None);
}
