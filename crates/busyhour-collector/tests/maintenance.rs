//! The commands beside a collector: looking through its store, backing it up, bringing it back.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use busyhour_model::UtcMicros;
use busyhour_store::{
    AccountName, Accounts, Act, AuditAction, Binding, Control, Grant, NewAgent, NewSession,
    NewUser, Reach, Retention, Role, open,
};
use tempfile::TempDir;

const RETENTION: Retention = Retention {
    windows_days: 14,
    slots_days: 400,
    hours_days: 1_830,
    checks_days: 60,
    facts_days: 60,
    loads_days: 30,
    gaps_days: 60,
};

fn collector(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_busyhour-collector"));
    command.args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A store with an agent of this name; the collector still has it.
fn store(directory: &Path, name: &str) -> impl Sized {
    let store = open(directory, RETENTION).unwrap();
    let agent = NewAgent {
        id: busyhour_model::AgentId::from_u128(7),
        name: name.to_owned(),
        secret_sha256: [1; 32],
        simulated: false,
        binding: Binding::Address,
        added: UtcMicros(1),
    };
    store.1.add_agent(&agent, &Act::by_operator(UtcMicros(1))).unwrap();
    store
}

#[test]
fn a_running_collectors_backup_is_taken_looked_through_and_restored() {
    let (data, kept) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let running = store(data.path(), "berlin-7");
    let taken = collector(&[
        "backup",
        "--data-dir",
        text(data.path()),
        "--to",
        text(kept.path()),
        "--keep",
        "3",
    ]);
    assert!(taken.status.success(), "{taken:?}");
    assert!(printed(&taken).contains("2 files copied"), "{taken:?}");
    assert!(printed(&taken).contains("0 old backups deleted"), "{taken:?}");
    drop(running);

    let new = TempDir::new().unwrap();
    let to = new.path().join("data");
    let restored = collector(&["restore", "--from", text(kept.path()), "--to", text(&to)]);
    assert!(restored.status.success(), "{restored:?}");
    assert!(printed(&restored).contains("2 files"), "{restored:?}");
    let looked = collector(&["check", "--data-dir", text(&to)]);
    assert!(looked.status.success(), "{looked:?}");
    assert!(printed(&looked).contains("sound    telemetry.db"), "{looked:?}");

    let (_, control) = open(&to, RETENTION).unwrap();
    assert_eq!(control.agents().unwrap()[0].name, "berlin-7");
    let audit = control.audit(UtcMicros(0), UtcMicros(i64::MAX), 9).unwrap();
    assert_eq!(audit[0].action, AuditAction::Restored);
}

#[test]
fn damage_is_told_and_ends_with_an_error() {
    let data = TempDir::new().unwrap();
    drop(store(data.path(), "berlin-7"));
    let file = data.path().join("control.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[4_096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    fs::write(&file, bytes).unwrap();
    let looked = collector(&["check", "--data-dir", text(data.path())]);
    assert_eq!(looked.status.code(), Some(1), "{looked:?}");
    assert!(printed(&looked).contains("damaged  control.db"), "{looked:?}");
    assert!(printed(&looked).contains("sound    telemetry.db"), "{looked:?}");
    assert!(complained(&looked).contains("1 of 2 files are damaged"), "{looked:?}");
    let kept = TempDir::new().unwrap();
    let refused =
        collector(&["backup", "--data-dir", text(data.path()), "--to", text(kept.path())]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(complained(&refused).contains("control.db"), "{refused:?}");
}

#[test]
fn what_cannot_be_done_is_told_with_the_remedy() {
    let (data, kept) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let _running = store(data.path(), "berlin-7");
    let looked = collector(&["check", "--data-dir", text(data.path())]);
    assert_eq!(looked.status.code(), Some(1), "{looked:?}");
    assert!(complained(&looked).contains("another collector is using"), "{looked:?}");
    let restored = collector(&["restore", "--from", text(kept.path()), "--to", text(data.path())]);
    assert!(complained(&restored).contains("neither is a whole backup"), "{restored:?}");
}

#[test]
fn the_configuration_names_the_data_directory() {
    let (data, kept) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let _running = store(data.path(), "berlin-7");
    let config = kept.path().join("collector.toml");
    let line = format!("[collector]\ndata_dir = {:?}\n", data.path());
    fs::write(&config, line).unwrap();
    let to = kept.path().join("backups");
    let taken = collector(&["backup", "--config", text(&config), "--to", text(&to)]);
    assert!(taken.status.success(), "{taken:?}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), 2, "a backup and the lock");
}

#[test]
fn judging_again_says_what_changed_and_is_audited() {
    let data = TempDir::new().unwrap();
    drop(store(data.path(), "berlin-7"));
    let days = ["--from", "2026-10-01", "--until", "2026-10-31", "--limits-of", "2026-11-01"];
    let judged = collector(&[&["rejudge", "--data-dir", text(data.path())], &days[..]].concat());
    assert!(judged.status.success(), "{judged:?}");
    assert_eq!(printed(&judged), "0 quarter-hours changed\n");
    let (_, control) = open(data.path(), RETENTION).unwrap();
    let entries = control.audit(UtcMicros(0), UtcMicros(i64::MAX), 9).unwrap();
    let told = entries.iter().find(|entry| entry.action == AuditAction::JudgedAgain).unwrap();
    assert!(told.detail.contains("2026-10-01 to 2026-10-31"), "{}", told.detail);
    let turned = ["--from", "2026-10-31", "--until", "2026-10-01", "--limits-of", "2026-11-01"];
    let refused = collector(&[&["rejudge", "--data-dir", text(data.path())], &turned[..]].concat());
    assert!(complained(&refused).contains("is before"), "{refused:?}");
}

/// Runs it with something on standard input.
fn collector_told(arguments: &[&str], told: &str) -> Output {
    use std::io::Write as _;
    let mut command = Command::new(env!("CARGO_BIN_EXE_busyhour-collector"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without having read.
    let _ = child.stdin.take().unwrap().write_all(told.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn an_administrators_password_is_set_at_the_machine_and_the_audit_says_so() {
    let data = TempDir::new().unwrap();
    let by = Act::by_operator(UtcMicros(1));
    let user = |name: &str, grant: Grant| NewUser {
        name: AccountName::new(name).unwrap(),
        password_hash: "before".to_owned(),
        grant,
    };
    let running = open(data.path(), RETENTION).unwrap();
    let reset = |name: &str, password: &str| {
        collector_told(&["admin", "reset", name, "--data-dir", text(data.path())], password)
    };
    let password = "correct horse battery\n";
    let refused = reset("eva", password);
    assert!(!refused.status.success(), "while it runs");
    drop(running);
    let refused = reset("eva", password);
    assert!(complained(&refused).contains("no administrator yet"), "{}", complained(&refused));
    {
        let (_, control) = open(data.path(), RETENTION).unwrap();
        let eva = control.add_user(&user("eva", Grant::administrator()), &by).unwrap();
        control
            .add_user(&user("vera", Grant::new(Role::Viewer, Reach::All).unwrap()), &by)
            .unwrap();
        let (peer, expires) = ("127.0.0.1".parse().unwrap(), UtcMicros(i64::MAX));
        let session = NewSession { token_sha256: [1; 32], user: eva, expires, peer };
        control.begin_session(&session, &by).unwrap();
    }
    for (name, password, why) in [
        ("vera", password, "there are: eva"),
        ("nobody", password, "there are: eva"),
        ("eva", "short\n", "12 characters"),
        ("eva", "", "12 characters"),
    ] {
        let refused = reset(name, password);
        assert_eq!(refused.status.code(), Some(1));
        assert!(complained(&refused).contains(why), "{}", complained(&refused));
    }
    // The secrets that a service manager passes are there only while the collector runs.
    let config = data.path().join("collector.toml");
    let secrets = format!(
        "[collector]\ndata_dir = {:?}\n[api.oidc]\nname = \"Corp\"\nclient_id = \"busyhour\"\n\
         issuer = \"https://login.example.org\"\nclient_secret_file = \"/none/oidc\"\n\
         [[channel]]\nkind = \"webhook\"\nname = \"hook\"\nurl_file = \"/none/hook\"\n",
        text(data.path())
    );
    fs::write(&config, secrets).unwrap();
    let done = collector_told(&["admin", "reset", "eva", "--config", text(&config)], password);
    assert!(done.status.success(), "{}", complained(&done));
    let (_, control) = open(data.path(), RETENTION).unwrap();
    let (_, kept) = control.user_password("eva").unwrap().unwrap();
    assert!(kept.starts_with("$argon2id$"), "{kept}");
    assert_eq!(control.user_password("vera").unwrap().unwrap().1, "before");
    assert_eq!(control.session(&[1; 32], UtcMicros(2)).unwrap(), None, "sessions ended");
    let head = control.audit_chain().unwrap().head;
    let last = &control.chained_audit(head - 1, 1).unwrap()[0].entry;
    assert_eq!((last.by.actor.as_str(), last.action), ("local operator", AuditAction::PasswordSet));
}
