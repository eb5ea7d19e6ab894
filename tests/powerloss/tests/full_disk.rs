//! A real disk of a few megabytes that fills up under the store.

use std::path::Path;
use std::process::Command;

use e2e::{Place, cannot_run};
use tempfile::TempDir;

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

#[test]
fn a_full_disk_takes_nothing_answers_everything_and_goes_on_when_there_is_room() {
    if !may_mount() {
        return cannot_run("file systems cannot be mounted (root is needed)");
    }
    let folder = TempDir::new().unwrap();
    let place = Place::small_disk(folder.path(), "8m");
    let mut appender = place.command(Path::new(env!("CARGO_BIN_EXE_appender")));
    let output = appender.arg("fill").arg(folder.path()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
