//! `busyhour detect`: a fleet that is not ours, judged as ours would be.
//!
//! What is read is told by [`input`], what is found by the engine (`busyhour-detect`), which judges day
//! by day as if each were the last. This module knows no rule of either.

mod cells;
mod input;
mod recorded;
mod told;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::bail;
use busyhour_detect::{Change, Finding, Params, Recorded as _, replay};
use busyhour_model::{BusinessHours, IncidentState};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::input::{Fallback, Input, Notes, Options, Period};
use self::recorded::{Judged, MAX_DAYS};
use self::told::{COLUMNS, Line};
use crate::Outcome;
use crate::args::Format;
use crate::client::{Envelope, Item};
use crate::output::{Printer, harmless};

/// What `detect` understands.
#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// The folder with the fleet's tables, or one table of data
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// One line for each incident, as it is at the end, instead of one for each transition
    #[arg(long)]
    summary: bool,
    /// What is only suspected as well
    #[arg(long)]
    suspected: bool,
    /// The first local date that is judged; nothing before it is read
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// The last local date that is judged
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// The time zone of buildings that buildings.csv tells none of
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    zone: Option<TimeZone>,
    /// The business hours of buildings that buildings.csv tells none of
    #[arg(long, value_name = "HOURS", value_parser = parse_hours)]
    hours: Option<BusinessHours>,
    /// How long slots are, where the data do not show it
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=60))]
    slot: Option<u32>,
    /// End with exit code 3 when an incident is open at the end
    #[arg(long)]
    exit_code: bool,
}

fn parse_zone(text: &str) -> Result<TimeZone, String> {
    input::zone(text).ok_or_else(|| "expected a name such as Europe/Berlin".to_owned())
}

fn parse_hours(text: &str) -> Result<BusinessHours, String> {
    input::hours(text).ok_or_else(|| "expected, for example, \"Mo-Fr 08:00-18:00\"".to_owned())
}

/// Reads, judges and tells.
///
/// # Errors
/// When the tables cannot be read, or nobody takes what is told.
pub(crate) fn run(
    format: Option<Format>,
    no_headers: bool,
    args: &DetectArgs,
) -> anyhow::Result<Outcome> {
    let period = Period { from: args.from, until: args.until };
    let judged = Judged::new(read(args, period)?, period, progress_bar("judging"));
    let Some(judged) = judged else { bail!("there are no data between --from and --until") };
    if judged.days() > MAX_DAYS {
        bail!("the data span {} days: judge parts of them with --from and --until", judged.days());
    }
    let mut telling = Telling::new(args, format.unwrap_or(Format::Json));
    let mut failed = None;
    replay(&judged, &Params::default(), &mut |date, finding| {
        if failed.is_none() {
            failed = telling.tell(date, finding, &judged).err();
            if failed.is_some() {
                judged.stop();
            }
        }
    });
    judged.finish();
    match failed {
        Some(error) => Err(error.into()),
        None => telling.finish(&judged, no_headers),
    }
}

fn read(args: &DetectArgs, period: Period) -> anyhow::Result<Input> {
    let fallback = Fallback { zone: args.zone.clone(), hours: args.hours.clone() };
    let options = Options { fallback, period, slot_minutes: args.slot };
    let (bar, mut notes) = (progress_bar("reading"), Notes::default());
    let input = input::read(&args.path, &options, &bar, &mut notes);
    bar.finish_and_clear();
    for remark in notes.take() {
        eprintln!("{}", harmless(&remark));
    }
    input
}

/// Tells what the engine finds.
struct Telling {
    format: Format,
    summary: bool,
    suspected: bool,
    exit_code: bool,
    items: Vec<Item>,
    /// Each finding as it was told last.
    last: BTreeMap<u64, (Date, Finding)>,
    out: io::StdoutLock<'static>,
}

impl Telling {
    fn new(args: &DetectArgs, format: Format) -> Self {
        Self {
            format,
            summary: args.summary,
            suspected: args.suspected,
            exit_code: args.exit_code,
            items: Vec::new(),
            last: BTreeMap::new(),
            out: io::stdout().lock(),
        }
    }

    fn tell(&mut self, date: Date, finding: &Finding, judged: &Judged) -> io::Result<()> {
        if self.summary || self.exit_code {
            self.last.insert(finding.id, (date, finding.clone()));
        }
        if self.summary {
            return Ok(());
        }
        self.write(date, finding, judged)
    }

    fn write(&mut self, date: Date, finding: &Finding, judged: &Judged) -> io::Result<()> {
        if !self.suspected && finding.opened.is_none() {
            return Ok(());
        }
        let line = Line::new(date, finding, judged.fleet());
        match self.format {
            Format::Json => line.write(&mut self.out),
            Format::Table | Format::Wide | Format::Yaml | Format::Csv => {
                self.items.push(line.into_item());
                Ok(())
            }
        }
    }

    fn finish(mut self, judged: &Judged, no_headers: bool) -> anyhow::Result<Outcome> {
        let last = std::mem::take(&mut self.last);
        if self.summary {
            for (date, finding) in last.values() {
                if finding.change != Change::Merged {
                    self.write(*date, finding, judged)?;
                }
            }
        }
        self.out.flush()?;
        drop(self.out);
        if self.format != Format::Json {
            let printer = Printer::new(self.format, no_headers);
            printer.rows(&Envelope::new(self.items), COLUMNS)?;
        }
        let is_open = |finding: &Finding| {
            finding.kind.alerts()
                && matches!(finding.state, IncidentState::Open | IncidentState::Recovering)
        };
        let found = self.exit_code && last.values().any(|(_, finding)| is_open(finding));
        Ok(if found { Outcome::Found } else { Outcome::Done })
    }
}

fn progress_bar(doing: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg:8} {wide_bar} {percent:>3} %  {eta} left")
    {
        bar.set_style(style);
    }
    bar.with_message(doing)
}
