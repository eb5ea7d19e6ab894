//! `busyhour-agent once`: one window against any reflector, printed and forgotten.

mod figures;
mod measure;
mod progress;
mod table;

use std::net::IpAddr;

use anyhow::Context as _;
use busyhour_daemon::shutdown_signal;

use crate::args::{OnceArgs, Output};
use crate::config::{Target, of_words};
use crate::print::print;
use crate::process::Outcome;
use figures::Figures;
use measure::{Families, measure};
use progress::Progress;

/// The port of STAMP and TWAMP reflectors (RFC 8762 section 4.1).
const PORT: u16 = 862;
/// A window begins so often: there is no second one.
const PERIOD: &str = "240s";

/// Measures and prints.
pub(crate) async fn run(args: &OnceArgs) -> anyhow::Result<Outcome> {
    let target = target(args)?;
    let stop = shutdown_signal().context("install signal handlers")?;
    let families = match (args.ipv4, args.ipv6) {
        (true, _) => Families::OnlyIpv4,
        (_, true) => Families::OnlyIpv6,
        (false, false) => Families::Any,
    };
    let progress = Progress::on_terminal(&target);
    let measured = measure(&target, families, &progress, &stop).await;
    progress.clear();
    let measured = measured?;
    let figures = Figures::new(&target, &measured);
    match args.output {
        Output::Json => print(&serde_json::to_string_pretty(&figures)?)?,
        Output::Table => print(&table::show(&target, &measured, &figures))?,
    }
    Ok(if measured.window.counts.received() == 0 { Outcome::NothingBack } else { Outcome::Done })
}

/// What the command line describes, checked as a `[[target]]` of a file is.
fn target(args: &OnceArgs) -> anyhow::Result<Target> {
    let security = args.security.as_deref();
    let by_key = if args.key_file.is_some() { "tlvs" } else { "open" };
    let words = serde_json::json!({
        "name": with_port(&args.target),
        "profile": args.profile,
        "class": args.class,
        "peer": args.peer,
        "security": security.unwrap_or(by_key),
        "key_file": args.key_file,
        "ecn": args.ecn,
        "window": args.window,
        "period": PERIOD,
    });
    Ok(of_words(words)?)
}

/// The target with the usual port, unless it has one.
fn with_port(target: &str) -> String {
    match target.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{PORT}"),
        Ok(IpAddr::V4(address)) => format!("{address}:{PORT}"),
        Err(_) if target.ends_with(']') || !target.contains(':') => format!("{target}:{PORT}"),
        Err(_) => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_the_usual_port_unless_it_names_one() {
        for (given, expected) in [
            ("192.0.2.1", "192.0.2.1:862"),
            ("192.0.2.1:8620", "192.0.2.1:8620"),
            ("2001:db8::1", "[2001:db8::1]:862"),
            ("[2001:db8::1]", "[2001:db8::1]:862"),
            ("[2001:db8::1]:9", "[2001:db8::1]:9"),
            ("reflector.example.com", "reflector.example.com:862"),
            ("reflector.example.com:9", "reflector.example.com:9"),
        ] {
            assert_eq!(with_port(given), expected);
        }
    }
}
