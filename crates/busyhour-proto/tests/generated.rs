//! The committed code is what `proto/` says. `UPDATE_GENERATED=1` writes it instead.

use std::path::{Path, PathBuf};

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
