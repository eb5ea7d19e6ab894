//! The committed code is what `proto/` says. `UPDATE_GENERATED=1` writes it instead.

use std::path::Path;

#[test]
fn the_generated_code_is_what_the_proto_files_say() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = here.join("../../proto");
    let files = ["configuration", "fleet", "ingest", "record"];
    let files = files.map(|name| format!("busyhour/v1/{name}.proto"));
    let committed = here.join("src/generated/busyhour.v1.rs");

    let fresh = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(files, [&proto]).unwrap();
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .codec_path("crate::SmallCodec")
        .out_dir(fresh.path())
        .compile_fds(descriptors)
        .unwrap();
    let generated = std::fs::read_to_string(fresh.path().join("busyhour.v1.rs")).unwrap();

    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        std::fs::write(&committed, generated).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&committed).unwrap();
    assert!(
        kept == generated,
        "src/generated is stale: run `UPDATE_GENERATED=1 cargo test -p busyhour-proto --test generated`"
    );
}
