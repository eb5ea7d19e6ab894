//! Load that people import.

use serde_json::{Value, json};

use crate::canned::Canned;
use crate::{ask, check_snapshot, stderr, stdout, write};

#[test]
fn a_load_table_is_sent_as_it_is_and_what_came_of_it_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "calls.csv", b"building,start,load\n");
    let done = json!({"schema_version": 1, "imported": true, "rows": 480, "buildings": 2,
        "days": 20, "findings": []});
    let collector = Canned::start(&[("POST /loads/import", 200, done)]);
    let output = ask(&collector, &["load", "import", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "imported: 480 rows of load, 20 days of 2 buildings\n");
    assert_eq!(stdout(&output), "");
    let dry = ask(&collector, &["load", "import", &file, "--dry-run"]);
    assert!(stderr(&dry).contains("nothing was changed"), "{}", stderr(&dry));
    let bodies: Vec<Value> = collector.asked().into_iter().map(|(_, _, body)| body).collect();
    let body = |dry_run: bool| json!({"file": "building,start,load\n", "dry_run": dry_run});
    assert_eq!(bodies, [body(false), body(true)]);
}

#[test]
fn a_load_table_with_errors_ends_with_3_and_tells_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "calls.csv", b"building,start,load\nAtlantis,0,1\n");
    let refused = json!({"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
        "detail": "the load table has errors", "findings": [{"severity": "error",
        "source": "load table", "line": 2, "column": 1,
        "message": "the building file has no building \"Atlantis\"",
        "remedy": "write the name exactly as in the building file"}]});
    let collector = Canned::start(&[("POST /loads/import", 422, refused)]);
    let output = ask(&collector, &["load", "import", &file]);
    assert_eq!(output.status.code(), Some(3));
    check_snapshot("table-load-findings", &stdout(&output));
    assert!(stderr(&output).contains("nothing was changed"), "{}", stderr(&output));
}
