//! `busyhour decode`: a captured packet, explained.

mod capture;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use busyhour_daemon::Secret;
use busyhour_wire::explain::{Explanation, Field, Kind, Options, explain};
use busyhour_wire::{Key, Mode};
use clap::{Args, ValueEnum};
use serde_json::json;

use self::capture::{Captured, Frame};
use crate::Outcome;
use crate::client::{Envelope, Item};
use crate::output::{Column, Printer};

/// More than the largest datagram has, as digits with separators.
const MAX_TEXT: u64 = 1 << 20;
/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// How many octets of a field are shown in a table.
const SHOWN: usize = 8;

const COLUMNS: &[Column] = &[
    ("offset", "offset"),
    ("octets", "octets"),
    ("part", "part"),
    ("field", "field"),
    ("value", "value"),
    ("note", "note"),
];

/// What `decode` understands.
#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    source: Source,
    /// Verify HMACs with the key, or the password, in this file
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What it is: sender, reflector or stun
    #[arg(long = "as", value_name = "KIND", hide_possible_values = true)]
    kind: Option<KindName>,
    /// A test packet's mode: open or authenticated
    #[arg(long, value_name = "MODE", hide_possible_values = true)]
    mode: Option<ModeName>,
    /// Of a capture: only datagrams from or to this port
    #[arg(long, value_name = "PORT", conflicts_with_all = ["hex", "file"])]
    port: Option<u16>,
    /// Of a capture: at most this many packets
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, conflicts_with_all = ["hex", "file"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The datagram's octets as hexadecimal digits, with spaces, colons or 0x as they come; - reads
    /// them from standard input
    #[arg(value_name = "HEX", value_parser = Digits::parse)]
    hex: Vec<Digits>,
    /// A file with the datagram's octets
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A capture in pcap or pcapng format
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

/// One argument of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Digits {
    StandardInput,
    Octets(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindName {
    Sender,
    Reflector,
    Stun,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeName {
    Open,
    Authenticated,
}

impl Digits {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::StandardInput);
        }
        octets(text).map(Self::Octets)
    }
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Sender => Self::Sender,
            KindName::Reflector => Self::Reflector,
            KindName::Stun => Self::Stun,
        }
    }
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Open => Self::Unauthenticated,
            ModeName::Authenticated => Self::Authenticated,
        }
    }
}

pub(crate) fn run(printer: &Printer, args: &DecodeArgs) -> anyhow::Result<Outcome> {
    let secret = args.key_file.as_deref().map(read_secret).transpose()?;
    let options = Options {
        kind: args.kind.map(Kind::from),
        mode: args.mode.map(Mode::from),
        secret: secret.as_deref(),
    };
    match &args.source.pcap {
        Some(path) => capture(printer, args, path, &options),
        None => {
            let datagram = datagram(&args.source)?;
            let explanation = explain(&datagram, &options)?;
            print(printer, &[Explained { datagram, explanation, frame: None }])?;
            Ok(Outcome::Done)
        }
    }
}

/// A datagram, what it says, and where it was captured.
struct Explained {
    datagram: Vec<u8>,
    explanation: Explanation,
    frame: Option<Frame>,
}

fn capture(
    printer: &Printer,
    args: &DecodeArgs,
    path: &Path,
    options: &Options<'_>,
) -> anyhow::Result<Outcome> {
    let reading = || format!("read the capture {}", path.display());
    let file = File::open(path).with_context(reading)?;
    let (mut explained, mut refused, mut others, mut more) = (Vec::new(), 0_u64, 0_u64, 0_u64);
    let picked = args.port.is_some() || args.kind.is_some();
    // What a cut or damaged file holds in front of that is told before the error.
    let read = capture::read(file, |captured| {
        let Captured::Datagram(frame, datagram) = captured else {
            others += 1;
            return;
        };
        let ports = [frame.from.port(), frame.to.port()];
        if args.port.is_some_and(|port| !ports.contains(&port)) {
            others += 1;
            return;
        }
        match explain(datagram, options) {
            Ok(explanation) if picked || explanation.confident => {
                if explained.len() < args.limit as usize {
                    let datagram = datagram.to_vec();
                    explained.push(Explained { datagram, explanation, frame: Some(frame) });
                } else {
                    more += 1;
                }
            }
            _ => refused += 1,
        }
    })
    .with_context(reading);
    if explained.is_empty() {
        read?;
        bail!(
            "nothing to explain in {}: {refused} datagrams of another kind, {others} other frames",
            path.display()
        );
    }
    print(printer, &explained)?;
    if more + refused + others > 0 {
        eprintln!(
            "not shown: {more} beyond the limit, {refused} of another kind, {others} other frames"
        );
    }
    read?;
    Ok(Outcome::Done)
}

/// For people packet by packet, for programs all rows as one answer.
fn print(printer: &Printer, packets: &[Explained]) -> anyhow::Result<()> {
    if !printer.is_table() {
        let rows = packets.iter().flat_map(|packet| rows(packet, usize::MAX)).collect();
        return printer.rows(&Envelope::new(rows), COLUMNS);
    }
    for (at, packet) in packets.iter().enumerate() {
        if at > 0 {
            writeln!(io::stdout())?;
        }
        writeln!(io::stdout(), "{}", title(packet))?;
        printer.rows(&Envelope::new(rows(packet, SHOWN)), COLUMNS)?;
    }
    Ok(())
}

fn title(packet: &Explained) -> String {
    let mut title = String::new();
    if let Some(frame) = &packet.frame {
        // Writing into a String cannot fail.
        let _ = write!(title, "#{} {} {} > {}: ", frame.number, frame.time(), frame.from, frame.to);
    }
    let _ = write!(title, "{} octets, {}", packet.datagram.len(), packet.explanation.why);
    title
}

fn rows(packet: &Explained, shown: usize) -> Vec<Item> {
    packet.explanation.fields.iter().map(|field| row(packet, field, shown)).collect()
}

fn row(packet: &Explained, field: &Field, shown: usize) -> Item {
    let octets = packet.datagram.get(field.octets()).unwrap_or_default();
    let mode = packet.explanation.mode.map(|mode| match mode {
        Mode::Unauthenticated => "open",
        Mode::Authenticated => "authenticated",
    });
    let kind = match packet.explanation.kind {
        Kind::Sender => "sender",
        Kind::Reflector => "reflector",
        Kind::Stun => "stun",
    };
    let mut row = Item::new();
    let mut put = |key: &str, value| row.insert(key.to_owned(), value);
    put("kind", json!(kind));
    put("mode", json!(mode));
    put("why", json!(packet.explanation.why));
    if let Some(frame) = &packet.frame {
        put("packet", json!(frame.number));
        put("captured_utc", json!(frame.time()));
        put("from", json!(frame.from.to_string()));
        put("to", json!(frame.to.to_string()));
    }
    put("offset", json!(field.octets().start));
    put("first_bit", json!(field.first_bit % 8));
    put("bits", json!(field.bits));
    put("octets", json!(hex(octets, shown)));
    put("part", json!(field.group));
    put("field", json!(field.name));
    put("value", json!(field.value));
    put("note", json!(field.note));
    row
}

fn hex(octets: &[u8], shown: usize) -> String {
    let mut text: String = octets.iter().take(shown).map(|octet| format!("{octet:02x}")).collect();
    if octets.len() > shown {
        text.push('…');
    }
    text
}

fn datagram(source: &Source) -> anyhow::Result<Vec<u8>> {
    if let Some(path) = &source.file {
        let reading = || format!("read the packet {}", path.display());
        let mut octets = Vec::new();
        let limit = MAX_DATAGRAM as u64 + 1;
        File::open(path)
            .and_then(|file| file.take(limit).read_to_end(&mut octets))
            .with_context(reading)?;
        if octets.len() > MAX_DATAGRAM {
            bail!("{} is larger than any datagram; is it a capture (--pcap)?", path.display());
        }
        return Ok(octets);
    }
    let mut whole = Vec::new();
    for digits in &source.hex {
        match digits {
            Digits::Octets(part) => whole.extend_from_slice(part),
            Digits::StandardInput => {
                let mut text = String::new();
                let limited = io::stdin().lock().take(MAX_TEXT).read_to_string(&mut text);
                limited.context("read digits from standard input")?;
                whole.extend(octets(&text).map_err(anyhow::Error::msg)?);
            }
        }
    }
    Ok(whole)
}

/// Reads digits in pairs; what people and programs put between them is passed over.
fn octets(text: &str) -> Result<Vec<u8>, String> {
    let between = |c: char| c.is_whitespace() || matches!(c, ':' | ',' | '-' | '.');
    let mut octets = Vec::with_capacity(text.len() / 2);
    for word in text.split(between).filter(|word| !word.is_empty()) {
        let digits = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
        let wrong = || format!("{word:?} is not pairs of hexadecimal digits");
        if digits.len() % 2 != 0 {
            return Err(wrong());
        }
        let line = format!("hex:{digits}");
        octets.extend(Key::octets_of_line(&line).ok_or_else(wrong)?);
    }
    Ok(octets)
}

fn read_secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let secret = Secret::read(path).context("read the key file")?;
    Key::octets_of_line(secret.expose())
        .with_context(|| format!("{}: hex: needs pairs of hexadecimal digits", path.display()))
}
