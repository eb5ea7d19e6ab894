//! docs/PRIVACY.md tells what leaves a machine: every field of every message that an agent sends has a
//! row there, with what it is and its kind.
#![expect(clippy::unwrap_used, reason = "a helper of a test that cannot go on fails it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What agents send; everything else is reached from here.
const SENT: [&str; 4] = ["AgentMessage", "EnrolRequest", "RenewRequest", "BlockPayload"];

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The fields of each message: name and, of messages within, whose.
type Messages = BTreeMap<String, Vec<(String, Option<String>)>>;

fn messages(folder: &Path) -> Messages {
    let names = fs::read_dir(folder.join("busyhour/v1")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.map(|name| format!("busyhour/v1/{name}")).collect();
    let descriptors = protox::compile(files, [folder]).unwrap();
    let mut messages = Messages::new();
    for message in descriptors.file.iter().flat_map(|file| &file.message_type) {
        assert!(message.nested_type.is_empty(), "this test knows no nested messages");
        let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let fields = message.field.iter().map(|field| {
            let within = field.type_name.as_deref().map(short);
            (field.name().to_owned(), within)
        });
        messages.insert(message.name().to_owned(), fields.collect());
    }
    messages
}

/// `Message.field` of everything that agents send.
fn sent(messages: &Messages) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let mut open: Vec<&str> = SENT.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        // Enumerations are no messages.
        let Some(of) = messages.get(name) else { continue };
        if !seen.insert(name) {
            continue;
        }
        for (field, within) in of {
            fields.insert(format!("{name}.{field}"));
            open.extend(within.as_deref());
        }
    }
    fields
}

/// What the rows of a document name as `Message.field`, and rows that say nothing of it.
fn told(document: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut fields, mut silent) = (BTreeSet::new(), Vec::new());
    for row in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let named = cells[0].split('`').skip(1).step_by(2);
        let named: Vec<&str> = named.filter(|name| name.starts_with(char::is_uppercase)).collect();
        if named.is_empty() {
            continue;
        }
        let kinds = ["bookkeeping", "network", "place", "presence", "machine"];
        if cells.len() != 4 || cells[1].is_empty() || !kinds.contains(&cells[3]) {
            silent.push(row.to_owned());
        }
        fields.extend(named.into_iter().map(str::to_owned));
    }
    (fields, silent)
}

#[test]
fn every_field_that_leaves_a_machine_has_a_row_in_the_privacy_document() {
    let sent = sent(&messages(&root().join("proto")));
    let (told, silent) = told(&fs::read_to_string(root().join("docs/PRIVACY.md")).unwrap());
    assert!(sent.contains("Load.sent_bytes") && sent.contains("Hello.boot"), "{sent:?}");
    assert!(!sent.contains("Welcome.credit"), "what the collector sends leaves no machine");
    let untold: Vec<_> = sent.difference(&told).collect();
    assert!(untold.is_empty(), "docs/PRIVACY.md has no row for {untold:?}");
    let gone: Vec<_> = told.difference(&sent).collect();
    assert!(gone.is_empty(), "docs/PRIVACY.md tells of what no agent sends: {gone:?}");
    assert!(silent.is_empty(), "rows that do not say what it is, or of what kind: {silent:#?}");
}

#[test]
fn a_new_field_without_a_row_is_noticed_and_a_row_without_a_kind_too() {
    let mut messages = messages(&root().join("proto"));
    let load = messages.get_mut("Load").unwrap();
    load.push(("programs".to_owned(), Some("Program".to_owned())));
    messages.insert("Program".to_owned(), vec![("name".to_owned(), None)]);
    let (told, _) = told(&fs::read_to_string(root().join("docs/PRIVACY.md")).unwrap());
    let sent = sent(&messages);
    let untold: Vec<_> = sent.difference(&told).map(String::as_str).collect();
    assert_eq!(untold, ["Load.programs", "Program.name"]);

    let row =
        "| `Load.programs` | their names | why not | whatever |\n| `retention.windows` | 14 | |";
    let (fields, silent) = self::told(row);
    assert_eq!((fields.len(), silent.len()), (1, 1));
}
