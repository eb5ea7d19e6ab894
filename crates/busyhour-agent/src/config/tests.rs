use std::os::unix::fs::PermissionsExt as _;

use std::path::Path;

use busyhour_daemon::chain;
use busyhour_model::{Ecn, TrafficClass};
use busyhour_probe::PeerProfile;
use busyhour_wire::TimestampFormat;

use super::*;
use crate::session::sender_config;

const AGENT: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Resolves a file beside which lies a good secret; `SECRET` in the text stands for its path.
fn check(text: &str) -> Result<Resolved, String> {
    check_in(tempfile::tempdir().unwrap().path(), text)
}

fn check_in(directory: &Path, text: &str) -> Result<Resolved, String> {
    let secret = directory.join("secret");
    std::fs::write(&secret, format!("{AGENT}.s3cret\n")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = directory.join("agent.toml");
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
    assert_eq!(resolved.reflector.listen.len(), 2);
    assert!(resolved.collector.is_none() && resolved.targets.is_empty());
    assert_eq!(resolved.spool.max_age, Duration::from_secs(7 * 86_400));
}

#[test]
fn an_agent_takes_its_identity_from_the_secret_file() {
    let text = "[agent]\nsecret_file = \"SECRET\"\n[collector]\nurl = \"http://127.0.0.1:4317\"\n\
                [link]\ncapacity = \"1Gbit/s\"\n\
                [[target]]\nname = \"reflector.example:862\"\n\
                [[target]]\nname = \"[2001:db8::1]:862\"\nschedule = \"continuous\"\nclass = \"video\"";
    let resolved = check(text).unwrap();
    assert_eq!(resolved.collector.as_ref().unwrap().agent.to_string(), AGENT);
    let [duty, continuous] = resolved.targets.as_slice() else { panic!("{resolved:?}") };
    assert_eq!((duty.host.as_str(), duty.port), ("reflector.example", 862));
    assert_eq!((duty.profile_name.as_str(), duty.class()), ("audio-50", TrafficClass::Audio));
    assert_eq!(duty.window(), Duration::from_secs(15));
    assert_eq!(duty.schedule().period_us, 60_000_000);
    assert_eq!((continuous.host.as_str(), continuous.port), ("2001:db8::1", 862));
    assert_eq!(continuous.profile_name.as_str(), "video-150");
    assert_eq!(continuous.schedule().period_us, 15_000_000);
    assert_ne!(duty.schedule().revision, continuous.schedule().revision);
    assert!(!format!("{resolved:?} {resolved}").contains("s3cret"));
}

#[test]
fn what_may_be_probed_is_the_files_to_say() {
    let list = "[allow]\ntargets = [\"*.media.example\", \"10.0.0.0/8\"]\n";
    let target = |name: &str| format!("{list}[[target]]\nname = {name:?}\n");
    for name in ["10.1.2.3:862", "a.media.example:862", "named-later.example:862"] {
        check(&target(name)).unwrap();
    }
    check_error(&target("192.0.2.1:862"), &["192.0.2.1:862", "may not be probed", "allow.targets"]);
    check_error(&target("169.254.169.254:80"), &["metadata", "allow.special"]);
    check_error("[[target]]\nname = \"169.254.169.254:80\"", &["metadata", "allow.special"]);
    check_error("[allow]\ntargets = [\"no name\"]", &["allow.targets", "no name"]);
    check_error("[allow]\nspecial = [\"localhost\"]", &["allow.special", "localhost"]);
    let excepted = "[allow]\nspecial = [\"169.254.169.254\"]\n[[target]]\n";
    check(&format!("{excepted}name = \"169.254.169.254:80\"")).unwrap();
}

#[test]
fn what_is_printed_can_be_read_again() {
    let texts = [
        "[[target]]\nname = \"a:1\"\nwindow = \"5s\"\n[spool]\nmax_age = \"90s\"\n\
         [pause]\non_battery = false\nmetered = [\"usb0\"]",
        "[link]\ncapacity = \"100Mbit/s\"\n\
         [[profile]]\nname = \"slow\"\nrate = 2\npacket_bytes = 200\nclass = \"video\"\n\
         [[target]]\nname = \"a:1\"\nprofile = \"slow\"\npeer = \"twamp-light\"\necn = \"ect0\"\n\
         [[target]]\nname = \"a:1\"\nprofile = \"audio-50-190\"\ntimestamps = \"ptp\"\n\
         security = \"authenticated\"\nkey_file = \"SECRET\"",
        "[reflector]\nlisten = [\"[::]:862\"]\nadmission = \"provisioned\"\nkey_files = [\"SECRET\"]\n\
         allow = [\"10.1.2.3/8\", \"2001:db8::1\"]\nrequire_key = true\ncounting = \"stateless\"\n\
         [[reflector.session]]\nssid = 7\nsource = \"192.0.2.0/24\"\nshort_requests = true\n\
         key_file = \"SECRET\"",
    ];
    let directory = tempfile::tempdir().unwrap();
    for text in texts {
        let printed = check_in(directory.path(), text).unwrap().to_string();
        let again = check_in(directory.path(), &printed).unwrap().to_string();
        assert_eq!(again, printed);
    }
}

#[test]
fn what_a_target_says_reaches_its_session() {
    let text = "[link]\ncapacity = \"1Gbit/s\"\n\
                [[profile]]\nname = \"slow\"\nrate = 2\npacket_bytes = 200\n\
                [[target]]\nname = \"a:1\"\nprofile = \"slow\"\npeer = \"twamp-light\"\necn = \"ect1\"\n\
                window = \"10s\"\nperiod = \"2m\"\n\
                [[target]]\nname = \"a:1\"\nclass = \"sharing\"\nsecurity = \"tlvs\"\n\
                key_file = \"SECRET\"\ntimestamps = \"ptp\"";
    let resolved = check(text).unwrap();
    let [slow, sharing] = resolved.targets.as_slice() else { panic!("{resolved:?}") };
    assert_eq!(slow.profile_name.as_str(), "slow");
    assert_eq!((slow.profile.rate(), slow.profile.ip_packet_bytes()), (2, 200));
    assert_eq!((slow.profile.ecn(), slow.class()), (Ecn::Ect1, TrafficClass::BestEffort));
    assert_eq!((slow.window(), slow.period()), (Duration::from_secs(10), Duration::from_secs(120)));
    let peer = "192.0.2.1:1".parse().unwrap();
    assert_eq!(sender_config(slow, peer, 5).peer_profile, PeerProfile::TWAMP_LIGHT);
    assert_eq!(sharing.profile_name.as_str(), "sharing-150");
    let session = sender_config(sharing, peer, 5);
    assert!(matches!(session.security, busyhour_probe::Security::Tlvs(_)));
    assert_eq!((session.timestamp_format, session.ssid), (TimestampFormat::Ptp, 5));
    assert_eq!((session.peer, session.profile), (peer, sharing.profile));
}

#[test]
fn what_is_no_machines_address_is_not_probed() {
    for name in ["224.0.0.1:862", "0.0.0.0:862", "255.255.255.255:862", "[ff02::1]:862", "[::]:862"]
    {
        let error = check(&format!("[[target]]\nname = \"{name}\"")).unwrap_err();
        assert!(error.to_string().contains("not a machine's"), "{name}: {error}");
    }
    assert!(check("[[target]]\nname = \"192.0.2.1:862\"").is_ok());
}

#[test]
fn a_reflector_is_as_it_is_described() {
    let text = "[reflector]\nlisten = [\"[::]:862\"]\nadmission = \"provisioned\"\n\
                allow = [\"10.1.2.3/8\", \"2001:db8::1\"]\ncounting = \"stateless\"\n\
                disclose_addresses = true\nmax_sessions = 50\nmax_sessions_per_address = 5\n\
                timestamps = \"ptp\"\n\
                [[reflector.session]]\nssid = 7\nsource = \"192.0.2.7\"\nshort_requests = true\n\
                key_file = \"SECRET\"";
    let reflector = check(text).unwrap().reflector;
    let networks: Vec<String> = reflector.allow.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "2001:db8::1/128"]);
    let Admission::Provisioned(sessions) = &reflector.admission else { panic!("{reflector:?}") };
    let [session] = sessions.as_slice() else { panic!("{sessions:?}") };
    assert_eq!((session.ssid, session.short_requests), (7, true));
    assert_eq!(session.source, Some("192.0.2.7/32".parse().unwrap()));
    assert!(session.key.is_some() && reflector.disclose_addresses && !reflector.stateful);
    assert_eq!((reflector.max_sessions, reflector.max_sessions_per_address), (50, 5));
    assert_eq!(reflector.timestamps, Timestamps::Ptp);
    let plain = check("[reflector]\nlisten = [\"[::]:862\"]").unwrap().reflector;
    assert_eq!(plain.admission, Admission::Permissive);
    assert!(plain.stateful && !plain.disclose_addresses && !plain.require_key);
}

/// A configuration of targets by (host, further lines), with a capacity if there is one.
fn targets(capacity: &str, targets: &[(&str, &str)]) -> String {
    let mut text = String::new();
    if !capacity.is_empty() {
        text.push_str(&format!("[link]\ncapacity = \"{capacity}\"\n"));
    }
    for (at, (host, lines)) in targets.iter().enumerate() {
        text.push_str(&format!("[[target]]\nname = \"{host}:{}\"\n{lines}\n", at + 1));
    }
    text
}

#[test]
fn only_audio_and_its_twin_run_on_a_link_of_unknown_capacity() {
    let twin = "class = \"best-effort\"";
    check(&targets("", &[("a", ""), ("b", ""), ("a", twin), ("b", twin)])).unwrap();
    check(&targets("", &[("a", "profile = \"audio-50-190\"")])).unwrap();
    for lines in [
        "schedule = \"continuous\"",
        "period = \"30s\"",
        "class = \"video\"",
        "class = \"sharing\"",
        "profile = \"burst-200\"",
        "class = \"best-effort\"\nschedule = \"continuous\"",
    ] {
        let text = targets("", &[("a", ""), ("far", lines)]);
        check_error(&text, &["far:2", "link.capacity", "100Mbit/s"]);
        // Where the capacity is known it may, and on loopback there is no link.
        check(&targets("1Gbit/s", &[("a", ""), ("far", lines)])).unwrap();
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            check(&targets("", &[("a", ""), (host, lines)])).unwrap();
        }
    }
}

#[test]
fn probes_take_a_hundredth_of_a_link_at_most() {
    let continuous = "class = \"best-effort\"\nschedule = \"continuous\"";
    // 58 kbit/s each.
    let two = [("a", continuous), ("b", continuous)];
    check(&targets("11600kbit/s", &two)).unwrap();
    let expected = ["116 kbit/s", "115.9 kbit/s", "1 %", "11599kbit/s", "a:1", "duty"];
    check_error(&targets("11599kbit/s", &two), &expected);
    check_error(&targets("1Mbit/s", &[("a", "")]), &["14.5 kbit/s", "10 kbit/s", "1Mbit/s"]);
    // Without a known capacity, what a call and its twin would take: 14.5 kbit/s each.
    let twin = "class = \"best-effort\"";
    check(&targets("", &[("a", twin); 13])).unwrap();
    check_error(&targets("", &[("a", twin); 14]), &["203 kbit/s", "200 kbit/s", "link.capacity"]);
}

#[test]
fn expedited_traffic_is_that_of_one_call_at_most() {
    check(&targets("10Gbit/s", &[("a", ""); 6])).unwrap();
    let expected = ["101.5 kbit/s", "100 kbit/s", "EF", "best-effort"];
    check_error(&targets("10Gbit/s", &[("a", ""); 7]), &expected);
    check_error(&targets("", &[("a", ""); 7]), &expected);
    let continuous = "schedule = \"continuous\"";
    check(&targets("10Gbit/s", &[("a", continuous), ("b", "class = \"video\"")])).unwrap();
    check_error(&targets("10Gbit/s", &[("a", continuous); 2]), &["116 kbit/s"]);
    check(&targets("", &[("127.0.0.1", continuous); 200])).unwrap();
}

#[test]
fn check_config_prints_the_rates_that_result() {
    let continuous = "class = \"best-effort\"\nschedule = \"continuous\"";
    let text = targets("100Mbit/s", &[("a", ""), ("b", continuous)]);
    let printed = check(&text).unwrap().to_string();
    for part in [
        "capacity = \"100Mbit/s\"",
        "# all targets together: 72.5 kbit/s on average, at most 1000 kbit/s",
        "# of it expedited: 14.5 kbit/s, at most 100 kbit/s",
        "# 50 packets a second of 145 bytes, marked EF",
        "# from a port of 50000-50019; 14.5 kbit/s on average",
        "# from a port of 50060-50079; 58 kbit/s on average",
    ] {
        assert!(printed.contains(part), "{part:?} is not in\n{printed}");
    }
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
    check_error(&with_url("ftp://127.0.0.1"), &["only https://", "loopback"]);
    check_error(&with_url("http://somebody@127.0.0.1:1"), &["user"]);
    check_error(&with_url("http://127.0.0.1:1/x"), &["path"]);
    check_error(&with_url("not a url"), &["not a URL"]);
}

#[test]
fn a_collector_elsewhere_needs_an_enrolment() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[agent]\ndata_dir = {:?}\n[collector]\nurl = \"https://collector.example:7443\"\n\
         [[target]]\nname = \"a:1\"",
        folder.path()
    );
    check_error(
        &text,
        &[
            "not enrolled",
            "busyhour-agent enrol --collector https://collector.example:7443",
            "token",
        ],
    );
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
        ("[[target]]\nname = \"a:1\"\nprofile = \"audio-51\"", &["a:1", "audio-51", "audio-50, "]),
        ("[[target]]\nname = \"a:1\"\nprofile = \"video-150\"\nclass = \"audio\"", &["class"]),
        ("[[target]]\nname = \"a:1\"\npeer = \"ping\"", &["a:1", "ping", "stamp, twamp-light"]),
        ("[[target]]\nname = \"a:1\"\necn = \"ce\"", &["a:1", "router"]),
        ("[[target]]\nname = \"a:1\"\necn = \"ect\"", &["a:1", "ECN"]),
        ("[[target]]\nname = \"a:1\"\nkey_file = \"SECRET\"", &["key_file", "security"]),
        ("[[target]]\nname = \"a:1\"\nsecurity = \"tlvs\"", &["a:1", "key_file"]),
        (
            "[[target]]\nname = \"a:1\"\nsecurity = \"tlvs\"\nkey_file = \"/nowhere\"",
            &["target.key_file", "/nowhere"],
        ),
        (
            "[[target]]\nname = \"a:1\"\nsecurity = \"authenticated\"\nkey_file = \"SECRET\"",
            &["a:1", "octets", "larger packets"],
        ),
        (
            "[[target]]\nname = \"a:1\"\npeer = \"twamp-light\"\nsecurity = \"tlvs\"\n\
             key_file = \"SECRET\"",
            &["a:1", "without TLVs"],
        ),
        ("[link]\ncapacity = \"fast\"\n[[target]]\nname = \"a:1\"", &["link.capacity", "fast"]),
        ("[link]\ncapacity = \"9kbit/s\"\n[[target]]\nname = \"a:1\"", &["from 100kbit/s"]),
        ("[[profile]]\nname = \"x\"\nrate = 0\npacket_bytes = 145", &["x", "1..=1000"]),
        ("[[profile]]\nname = \"audio-50\"\nrate = 1\npacket_bytes = 145", &["another one"]),
        ("[[profile]]\nname = \"x\"\nrate = 1", &["packet_bytes"]),
        ("[reflector]\nlisten = [\"862\"]", &["reflector.listen", "862"]),
        ("[reflector]\nrequire_key = true", &["reflector.require_key", "key_files"]),
        ("[reflector]\nallow = [\"10.0.0.0/33\"]", &["reflector.allow", "10.0.0.0/33"]),
        ("[reflector]\nkey_files = [\"/nowhere\"]", &["reflector.key_files", "/nowhere"]),
        ("[reflector]\nmax_sessions = 0", &["reflector.max_sessions"]),
        ("[reflector]\nmax_sessions_per_address = 20000", &["max_sessions_per_address"]),
        ("[[reflector.session]]\nssid = 1", &["admission = \"provisioned\""]),
        (
            "[reflector]\nadmission = \"provisioned\"\n[[reflector.session]]\nssid = 0",
            &["ssid = 0"],
        ),
        (
            "[reflector]\nadmission = \"provisioned\"\n[[reflector.session]]\nssid = 1\n\
             short_requests = true",
            &["source"],
        ),
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
    let many = "[[target]]\nname = \"a:1\"\n".repeat(201);
    check_error(&many, &["201 targets"]);
}

#[test]
fn everything_that_the_packaged_file_shows_is_understood() {
    let shown = include_str!("../../../../deploy/agent.toml");
    let setting = |line: &str| {
        let line = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        match line.split_once(" = ") {
            Some((name, _)) if name.ends_with("_file") => format!("{name} = \"SECRET\""),
            Some(("key_files", _)) => "key_files = [\"SECRET\"]".to_owned(),
            // A key needs a use, and a session somebody to admit it.
            Some(("security", _)) => "security = \"tlvs\"".to_owned(),
            Some(("admission", _)) => "admission = \"provisioned\"".to_owned(),
            _ => line.to_owned(),
        }
    };
    let all: Vec<String> = shown.lines().map(setting).collect();
    let resolved = check(&all.join("\n")).unwrap();
    assert_eq!((resolved.targets.len(), resolved.reflector.listen.len()), (3, 2));
    assert_eq!(resolved.link_capacity, Some(100_000_000));
    assert!(resolved.collector.is_some());
    // As it is packaged, it measures, and delivers as soon as it is enrolled.
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let packaged = shown.replace("/var/lib/busyhour-agent", data_dir.to_str().unwrap());
    let resolved = check_in(folder.path(), &packaged).unwrap();
    assert_eq!((resolved.targets.len(), resolved.reflector.listen.len()), (2, 0));
    assert!(resolved.collector.is_none());
}
