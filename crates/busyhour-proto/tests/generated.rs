//! The committed code is what `proto/` says. `UPDATE_GENERATED=1` writes it instead.

use std::path::{Path, PathBuf};

use prost::Message as _;

const STALE: &str = "src/generated is stale: run `UPDATE_GENERATED=1 cargo test -p busyhour-proto --test generated`";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares what was generated with what is committed, or commits it.
fn hold(name: &str, generated: &[u8]) {
    let committed = here("src/generated").join(name);
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        std::fs::write(&committed, generated).expect("the folder can be written");
        return;
    }
    let committed = std::fs::read(&committed).expect("what was generated is committed");
    assert!(committed == generated, "{STALE}");
}

#[test]
fn the_generated_code_is_what_the_proto_files_say() {
    let files = ["configuration", "fleet", "ingest", "record"];
    let files = files.map(|name| format!("busyhour/v1/{name}.proto"));
    let fresh = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(files, [here("../../proto")]).unwrap();
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .codec_path("crate::SmallCodec")
        .out_dir(fresh.path())
        .compile_fds(descriptors)
        .unwrap();
    hold("busyhour.v1.rs", &std::fs::read(fresh.path().join("busyhour.v1.rs")).unwrap());
}

/// Its messages are read from what the HTTP API tells, and it describes itself to whoever asks.
#[test]
fn the_generated_query_service_is_what_its_proto_file_says() {
    let fresh = tempfile::tempdir().unwrap();
    let files = ["busyhour/query/v1/query.proto"];
    let descriptors = protox::compile(files, [here("../../proto")]).unwrap();
    // Without comments, which are in the file and not for the wire.
    let mut plain = descriptors.clone();
    plain.file.iter_mut().for_each(|file| file.source_code_info = None);
    hold("busyhour.query.v1.bin", &plain.encode_to_vec());
    let listed = "#[serde(deserialize_with = \"none_is_empty\")]";
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .codec_path("crate::SmallCodec")
        .message_attribute(".", "#[derive(serde::Deserialize)]")
        .field_attribute(".busyhour.query.v1.Window.estimate_flags", listed)
        .out_dir(fresh.path())
        .compile_fds(descriptors)
        .unwrap();
    let code = std::fs::read(fresh.path().join("busyhour.query.v1.rs")).unwrap();
    hold("busyhour.query.v1.rs", &code);
}
