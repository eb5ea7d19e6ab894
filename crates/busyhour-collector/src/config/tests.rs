use busyhour_daemon::{chain, load};

use super::*;

fn check(text: &str) -> Result<Resolved, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("collector.toml");
    std::fs::write(&path, text).unwrap();
    let raw: RawConfig = load(Some(&path), &[]).map_err(|error| chain(&error).to_string())?;
    raw.resolve().map_err(|error| chain(&error).to_string())
}

#[test]
fn an_empty_file_is_a_collector_on_loopback() {
    let resolved = check("").unwrap();
    assert_eq!(resolved.ingest_listen, "127.0.0.1:7443".parse().unwrap());
    assert_eq!(resolved.api_listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(resolved.retention.windows_days, 14);
    assert_eq!(resolved.requirements.default, RequirementProfile::ClientToMicrosoftEdge);
    assert!(resolved.channels.is_empty());
}

/// A file with a secret in it.
fn secret(folder: &Path) -> PathBuf {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join("oidc-secret");
    let file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
    file.unwrap().write_all(b"canary-of-oidc\n").unwrap();
    path
}

/// A file with every setting in it.
fn every_setting(folder: &Path) -> String {
    let secret = secret(folder);
    format!(
        r#"
[collector]
data_dir = "/srv/busyhour"
[ingest]
listen = "[::1]:0"
security = "tls"
names = ["busyhour.example.org", "192.0.2.7"]
[identity]
certificate_life = "24h"
ca_certificate = "/etc/busyhour/ca.crt"
ca_key = "/etc/busyhour/ca.key"
[api]
listen = "0.0.0.0:8443"
base_url = "https://busyhour.example.org"
tls.cert = "/etc/busyhour/cert.pem"
tls.key = "/etc/busyhour/key.pem"
[api.oidc]
name = "Example Corp"
issuer = "https://login.example.org"
client_id = "busyhour"
client_secret_file = {secret:?}
scopes = ["groups"]
name_claim = "upn"
[[api.oidc.rule]]
claim = "groups"
value = "noc"
role = "operator"
buildings = ["Berlin HQ"]
[[api.oidc.rule]]
claim = "/realm_access/roles"
value = "staff"
role = "viewer"
[retention]
windows = "7d"
slots = "800d"
hours = "3650d"
checks = "31d"
facts = "32d"
loads = "33d"
gaps = "34d"
audit = "35d"
sightings = "36d"
agents = "37d"
placements = "3651d"
path_verdicts = "38d"
verdicts = "39d"
incidents = "40d"
deliveries = "41d"
inventory = "42d"
[judge]
interval = "1m"
settle = "3m"
default_requirement = "none"
[[target]]
name = "edge.example.org:862"
requirement = "site-edge-to-microsoft-edge"
[[channel]]
kind = "file"
name = "files"
folder = {:?}
[[channel]]
kind = "email"
name = "champion"
host = "127.0.0.1"
port = 2525
security = "none"
from = "busyhour@example.org"
to = ["champion@example.org"]
[[channel]]
kind = "webhook"
name = "hook"
url = "http://127.0.0.1:9000/?sig=canary"
[log]
level = "debug"
format = "json"
"#,
        folder
    )
}

#[test]
fn every_setting_can_be_given_and_is_printed_back() {
    let directory = tempfile::tempdir().unwrap();
    let text = every_setting(directory.path());
    let resolved = check(&text).unwrap();
    assert_eq!(resolved.requirements.by_target.len(), 1);
    assert_eq!(resolved.channels.len(), 3);
    let printed = resolved.to_string();
    for line in [
        "listen = \"0.0.0.0:8443\"",
        "tls.cert = \"/etc/busyhour/cert.pem\"\ntls.key = \"/etc/busyhour/key.pem\"",
        "listen = \"[::1]:0\"\nsecurity = \"tls\"\nnames = [\"busyhour.example.org\", \"192.0.2.7\"]",
        "[identity]\ncertificate_life = \"86400s\"\nca_certificate = \"/etc/busyhour/ca.crt\"",
        "[api.oidc]\nname = \"Example Corp\"\nissuer = \"https://login.example.org\"\n\
         client_id = \"busyhour\"\nclient_secret_file = ",
        "scopes = [\"groups\"]\nname_claim = \"upn\"\n[[api.oidc.rule]]\nclaim = \"groups\"\n\
         value = \"noc\"\nrole = \"operator\"\nbuildings = [\"Berlin HQ\"]\n[[api.oidc.rule]]\n\
         claim = \"/realm_access/roles\"\nvalue = \"staff\"\nrole = \"viewer\"\n",
        "interval = \"60000ms\"\nsettle = \"180000ms\"",
        "[retention]\nwindows = \"7d\"\nslots = \"800d\"\nhours = \"3650d\"\nchecks = \"31d\"\nfacts = \"32d\"\n\
         loads = \"33d\"\ngaps = \"34d\"\naudit = \"35d\"\nsightings = \"36d\"\nagents = \"37d\"\n\
         placements = \"3651d\"\npath_verdicts = \"38d\"\nverdicts = \"39d\"\n\
         incidents = \"40d\"\ndeliveries = \"41d\"\ninventory = \"42d\"",
        "level = \"debug\"",
        "\"none\"",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(!printed.contains("canary"));
    assert!(!format!("{resolved:?}").contains("canary"));
}

#[test]
fn agents_are_heard_over_tls_wherever_others_can_reach_the_port() {
    let port = |text: &str| {
        let resolved = check(text).unwrap();
        let names: Vec<_> = resolved.fleet.names.iter().map(ToString::to_string).collect();
        (resolved.ingest_security, names)
    };
    assert_eq!(port(""), (Security::Plaintext, Vec::new()));
    assert_eq!(port("[ingest]\nsecurity = \"tls\""), (Security::Tls, Vec::new()));
    let listen = "[ingest]\nlisten = \"192.0.2.1:7443\"";
    assert_eq!(port(listen), (Security::Tls, vec!["192.0.2.1".to_owned()]));
    let everywhere = "[ingest]\nlisten = \"[::]:7443\"\nnames = [\"busyhour.example.org\"]";
    assert_eq!(port(everywhere), (Security::Tls, vec!["busyhour.example.org".to_owned()]));
}

#[test]
fn what_cannot_be_is_refused_with_the_field_and_the_remedy() {
    for (text, expected) in [
        ("[ingest]\nlisten = \"0.0.0.0:7443\"", "ingest.listen"),
        ("[ingest]\nlisten = \"192.0.2.1:7443\"\nsecurity = \"plaintext\"", "loopback"),
        ("[ingest]\nsecurity = \"some\"", "ingest.security"),
        ("[ingest]\nnames = [\"a b\"]", "ingest.names"),
        ("[identity]\ncertificate_life = \"31d\"", "identity.certificate_life"),
        ("[identity]\ncertificate_life = \"9s\"", "identity.certificate_life"),
        ("[identity]\nca_key = \"/ca.key\"", "both or not at all"),
        ("[api]\nlisten = \"192.0.2.1:8080\"", "loopback"),
        ("[api]\nlisten = \"8080\"", "api.listen"),
        ("[api.tls]\ncert = \"/a.pem\"", "api.tls needs both"),
        ("[api]\nbase_url = \"busyhour\"", "api.base_url"),
        ("[retention]\nwindows = \"2w\"", "retention.windows"),
        ("[retention]\nwindows = \"500d\"", "retention.slots"),
        ("[retention]\naudit = \"0d\"", "retention.audit"),
        (
            "[retention]\nplacements = \"1829d\"",
            "retention.hours must not be longer than retention.placements",
        ),
        ("[retention]\nagents = \"1831d\"", "retention.agents must not be longer"),
        ("[retention]\nverdicts = \"399d\"", "retention.path_verdicts must not be longer"),
        ("[retention]\nhours = \"399d\"", "retention.slots must not be longer"),
        ("[judge]\ninterval = \"0s\"", "judge.interval"),
        ("[judge]\nsettle = \"25h\"", "judge.settle"),
        ("[judge]\ndefault_requirement = \"perfect\"", "default_requirement"),
        ("[[target]]\nname = \"a\"\nrequirement = \"perfect\"", "target \"a\""),
        (
            "[[target]]\nname = \"a\"\nrequirement = \"none\"\n[[target]]\nname = \"a\"\n\
             requirement = \"none\"",
            "two targets",
        ),
        ("[[channel]]\nkind = \"pigeon\"\nname = \"p\"", "pigeon"),
        ("[[channel]]\nkind = \"webhook\"\nname = \"p\"\nurl = \"http://a.example/\"", "https://"),
        ("[[channel]]\nkind = \"webhook\"\nname = \"p\"\nhost = \"x\"", "host"),
        ("[collector]\ndata = \"x\"", "data"),
        ("[nonsense]\nx = 1", "nonsense"),
    ] {
        let message = check(text).unwrap_err();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn an_identity_provider_that_nobody_could_sign_in_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(folder.path());
    let with = |api: &str, change: (&str, &str)| {
        let text = format!(
            "[api]\n{api}\n[api.oidc]\nname = \"Corp\"\nissuer = \"https://login.example.org\"\n\
             client_id = \"busyhour\"\nclient_secret_file = {secret:?}\n[[api.oidc.rule]]\n\
             claim = \"groups\"\nvalue = \"noc\"\nrole = \"viewer\"\n"
        );
        assert!(text.contains(change.0));
        check(&text.replacen(change.0, change.1, 1))
    };
    assert!(with("", ("viewer", "auditor")).is_ok());
    let elsewhere = "listen = \"192.0.2.1:443\"\ntls.cert = \"/c\"\ntls.key = \"/k\"";
    for (api, change, expected) in [
        (elsewhere, ("noc", "noc"), "api.base_url"),
        ("", ("https://", "http://"), "https:// address"),
        ("", ("oidc-secret", "none"), "client_secret_file"),
        ("", ("client_id = \"busyhour\"", "client_id = \"busy hour\""), "client_id"),
        ("", ("client_id", "ca_file = \"/none.pem\"\nclient_id"), "ca_file"),
        ("", ("role = \"viewer\"", "role = \"administrator\""), "no identity provider makes one"),
        ("", ("role = \"viewer\"", "role = \"root\""), "root"),
        ("", ("\"viewer\"", "\"auditor\"\nbuildings = [\"A\"]"), "sees all buildings"),
        ("", ("claim = \"groups\"", "klaim = \"groups\""), "klaim"),
    ] {
        let message = with(api, change).unwrap_err();
        assert!(message.contains(expected), "{change:?}: {message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn the_privacy_document_tells_how_long_everything_is_kept_by_default() {
    let document = include_str!("../../../../docs/PRIVACY.md");
    let resolved = check("").unwrap();
    for (field, days) in resolved.kept_days() {
        let row = format!("| `retention.{field}` | {days} |");
        assert!(document.contains(&row), "docs/PRIVACY.md has no row {row:?}");
    }
    let rows = document.matches("\n| `retention.").count();
    assert_eq!(rows, resolved.kept_days().len(), "and no other");
}

/// The file that is deployed, with its examples in force and its secrets in a folder.
fn deployed(folder: &Path) -> String {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let example = include_str!("../../../../deploy/collector.toml");
    let in_force = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = example.lines().map(in_force).collect();
    let secrets = "/etc/busyhour-collector/";
    let named = text.split(secrets).skip(1).filter_map(|rest| rest.split('"').next());
    for name in named {
        let path = folder.join(name);
        let open = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path);
        let what = if name.ends_with(".key") {
            "0123456789abcdef0123456789abcdef"
        } else {
            "https://x.example/"
        };
        open.unwrap().write_all(what.as_bytes()).unwrap();
    }
    text.replace(secrets, &format!("{}/", folder.display()))
}

#[test]
fn the_deployed_example_is_understood_whole() {
    let folder = tempfile::tempdir().unwrap();
    let resolved = check(&deployed(folder.path())).unwrap();
    let names: Vec<_> = resolved.channels.iter().map(|one| (one.name(), one.kind())).collect();
    let expected = [
        ("champion", "email"),
        ("netops", "teams"),
        ("alerts", "alertmanager"),
        ("duty", "pagerduty"),
        ("tickets", "webhook"),
    ];
    assert_eq!(names, expected);
    assert_eq!((resolved.routes.len(), resolved.reports.len()), (3, 3));
    assert_eq!(resolved.requirements.by_target.len(), 1);
    let printed = resolved.to_string();
    for line in ["escalate_after = \"4h\"", "digest_at = \"07:30\"", "kind = \"monthly\""] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}

#[test]
fn what_is_misspelt_in_telling_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = deployed(folder.path());
    for (right, wrong, expected) in [
        ("password_file", "pasword_file", "pasword_file"),
        ("token_file", "bearer_file", "bearer_file"),
        ("routing_key_file", "routing_key", "routing_key"),
        ("signing_key_file", "sign_with", "sign_with"),
        ("escalate_after", "escalate_in", "escalate_in"),
        ("digest_zone", "digest_timezone", "digest_timezone"),
        ("zone = \"Europe/Berlin\"\nchannels", "zones = \"Europe/Berlin\"\nchannels", "zones"),
        ("\"customer-wan\"", "\"wan\"", "\"wan\" is not a segment"),
        (
            "[\"netops\"]",
            "[\"netop\"]",
            "route \"emea\" cannot be used: there is no channel \"netop\"",
        ),
        ("kind = \"weekly\"", "kind = \"yearly\"", "yearly"),
        ("{{ subject }}", "{{ subjekt }}", "channel \"tickets\""),
        ("\"details\": {{ text }}", "details: {{ text }}", "not JSON"),
    ] {
        assert!(text.contains(right), "{right}");
        let message = check(&text.replacen(right, wrong, 1)).unwrap_err();
        assert!(message.contains(expected), "{wrong}: {message}");
    }
}
