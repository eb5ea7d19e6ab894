use std::os::unix::fs::PermissionsExt as _;

use busyhour_daemon::chain;

use super::*;

const AGENT: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Resolves a file beside which lies a good secret; `SECRET` in the text stands for its path.
fn check(text: &str) -> Result<Resolved, String> {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{AGENT}.s3cret\n")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = directory.path().join("agent.toml");
    std::fs::write(&file, text.replace("SECRET", secret.to_str().unwrap())).unwrap();
    let raw: RawConfig =
        busyhour_daemon::load(Some(&file), &[]).map_err(|error| chain(&error).to_string())?;
    raw.resolve().map_err(|error| chain(&error).to_string())
}

fn check_error(text: &str, expected: &[&str]) {
    let message = check(text).unwrap_err();
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn a_pure_reflector_needs_one_line() {
    let resolved = check("[reflector]\nlisten = [\"0.0.0.0:862\", \"[::]:862\"]").unwrap();
    assert_eq!(resolved.reflector.len(), 2);
    assert!(resolved.collector.is_none() && resolved.targets.is_empty());
    assert_eq!(resolved.spool.max_age, Duration::from_secs(7 * 86_400));
}

#[test]
fn an_agent_takes_its_identity_from_the_secret_file() {
    let text = "[agent]\nsecret_file = \"SECRET\"\n[collector]\nurl = \"http://127.0.0.1:4317\"\n\
                [[target]]\nname = \"reflector.example:862\"\n\
                [[target]]\nname = \"[2001:db8::1]:862\"\nschedule = \"continuous\"\nclass = \"video\"";
    let resolved = check(text).unwrap();
    assert_eq!(resolved.collector.as_ref().unwrap().agent.to_string(), AGENT);
    let [duty, continuous] = resolved.targets.as_slice() else { panic!("{resolved:?}") };
    assert_eq!((duty.host.as_str(), duty.port), ("reflector.example", 862));
    assert_eq!(duty.window, Duration::from_secs(15));
    assert_eq!(duty.schedule().period_us, 60_000_000);
    assert_eq!((continuous.host.as_str(), continuous.port), ("2001:db8::1", 862));
    assert_eq!(continuous.schedule().period_us, 15_000_000);
    assert_ne!(duty.schedule().revision, continuous.schedule().revision);
    assert!(!format!("{resolved:?} {resolved}").contains("s3cret"));
}

#[test]
fn what_is_printed_can_be_read_again() {
    let text = "[[target]]\nname = \"a:1\"\nschedule = \"continuous\"\n[spool]\nmax_age = \"90s\"";
    let printed = check(text).unwrap().to_string();
    assert_eq!(check(&printed).unwrap().to_string(), printed);
}

#[test]
fn plaintext_leaves_the_machine_under_no_name() {
    let with_url = |url: &str| {
        format!(
            "[agent]\nsecret_file = \"SECRET\"\n[collector]\nurl = \"{url}\"\n[[target]]\nname = \"a:1\""
        )
    };
    for url in ["http://localhost:4317", "http://[::1]:4317/", "http://127.9.9.9:1"] {
        check(&with_url(url)).unwrap();
    }
    for url in ["http://10.0.0.1:4317", "http://collector.example", "http://localhost.example:1"] {
        check_error(&with_url(url), &["plaintext", "collector.url", url]);
    }
    check_error(&with_url("https://127.0.0.1:4317"), &["TLS"]);
    check_error(&with_url("ftp://127.0.0.1"), &["only http://"]);
    check_error(&with_url("http://127.0.0.1:1/x"), &["path"]);
    check_error(&with_url("not a url"), &["not a URL"]);
}

#[test]
fn every_mistake_is_named_with_its_remedy() {
    let table: &[(&str, &[&str])] = &[
        ("", &["nothing to do", "reflector.listen"]),
        ("[[target]]\nname = \"nowhere\"", &["nowhere", "HOST:PORT"]),
        ("[[target]]\nname = \"a:0\"", &["HOST:PORT"]),
        ("[[target]]\nname = \"::1:862\"", &["brackets"]),
        ("[[target]]\nname = \"a:1\"\nclass = \"voice\"", &["a:1", "voice", "traffic class"]),
        ("[[target]]\nname = \"a:1\"\n[[target]]\nname = \"a:1\"", &["two with this name"]),
        ("[[target]]\nname = \"a:1\"\nwindow = \"1h\"", &["target.window", "from 100ms to 60s"]),
        ("[[target]]\nname = \"a:1\"\nperiod = \"5s\"", &["shorter than its window"]),
        ("[reflector]\nlisten = [\"862\"]", &["reflector.listen", "862"]),
        ("[spool]\nmax_bytes = 10\n[[target]]\nname = \"a:1\"", &["spool.max_bytes"]),
        ("[spool]\nmax_age = \"1\"\n[[target]]\nname = \"a:1\"", &["spool.max_age", "1m to 90d"]),
        ("[collector]\nurl = \"http://127.0.0.1:1\"", &["agent.secret_file", "agent add"]),
        (
            "[agent]\nsecret_file = \"/nowhere\"\n[collector]\nurl = \"http://127.0.0.1:1\"",
            &["agent.secret_file", "/nowhere"],
        ),
        ("[agent]\ndata_directory = \"/x\"", &["data_directory", "agent.toml"]),
    ];
    for (text, expected) in table {
        check_error(text, expected);
    }
    let many = "[[target]]\nname = \"a:1\"\n".repeat(33);
    check_error(&many, &["33 targets"]);
}
